"""A called function works something out and then does not hand it on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts

__all__ = ["create"]

_HINT = "Something the package works out gets lost on the way: a value is not returned, or not kept."


def _sites(function: Function) -> Iterator[Site]:
    for statement in function.statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Return) and isinstance(
                node.value, ast.Name | ast.Attribute | ast.Call | ast.Subscript
            ):
                line = function.lines[node.lineno - 1]
                if node.value.lineno == node.lineno and line.strip().startswith("return "):
                    # `return value` becomes a bare expression: the function goes on, or ends with None.
                    yield Site(node.lineno, node.col_offset, "return ", "")
            elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
                line = function.lines[node.lineno - 1]
                end = node.target.end_col_offset
                if end is not None and line[end : end + 4] == " += ":
                    yield Site(node.lineno, end, " += ", " = ")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from drafts(look, rng, _sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("lost-result", "source-logic", _drafts)

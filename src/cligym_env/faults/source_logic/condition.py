"""A branch of a called function is taken when it should not be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts, offset

__all__ = ["create"]

_HINT = "A branch in the package's own code is taken in the wrong case; read the conditions as sentences."


def _sites(function: Function) -> Iterator[Site]:
    for node in ast.walk(function.node):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            line = function.lines[node.lineno - 1]
            if line[node.col_offset :].startswith("not "):
                yield Site(node.lineno, node.col_offset, "not ", "")
        elif isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for before, after in zip(node.values, node.values[1:], strict=False):
                site = offset(function, before, after, old)
                if site is not None:
                    yield replace(site, new=new)
        elif isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(
            node.test, ast.Name | ast.Attribute | ast.Call
        ):
            at = node.test.col_offset
            old = function.lines[node.test.lineno - 1][at : at + 1]
            # An endless loop would cost every test its whole deadline.
            if not isinstance(node, ast.While):
                yield Site(node.test.lineno, at, old, f"not {old}")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from drafts(look, rng, _sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("condition", "source-logic", _drafts)

"""A number, truth value or short text in a called function is another one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts

__all__ = ["create"]

_HINT = "A literal value in the package's own code is not what it was; see which result is off."
_MAX_TEXT_CHARS = 16


def _sites(function: Function) -> Iterator[Site]:
    for statement in function.statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Constant) and node.end_lineno == node.lineno:
                line = function.lines[node.lineno - 1]
                old = line[node.col_offset : node.end_col_offset]
                new = _other(node.value, old)
                if new is not None:
                    yield Site(node.lineno, node.col_offset, old, new)


def _other(value: object, text: str) -> str | None:
    if isinstance(value, bool):
        return str(not value)
    if isinstance(value, int) and text == str(value):
        return str(value + 1)
    if not isinstance(value, str | bytes) or not 2 <= len(value) <= _MAX_TEXT_CHARS:
        return None
    body = text.strip("rRbBuU\"'")
    if "\\" in body or not body.isascii() or body not in text or "{" in body or " " in body:
        return None
    # Two neighbours change places: what a tired hand does, and easy to overlook.
    for at in range(len(body) - 1):
        if body[at] != body[at + 1]:
            return text.replace(body, f"{body[:at]}{body[at + 1]}{body[at]}{body[at + 2 :]}")
    return None


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from drafts(look, rng, _sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("constant", "source-logic", _drafts)

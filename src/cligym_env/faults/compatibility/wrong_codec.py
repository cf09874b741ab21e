"""A called function encodes or decodes text with another codec, or ends lines differently."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts

__all__ = ["create"]

_HINT = "Text and bytes are turned into each other by a rule that is not the one of the other side."
_CODECS = {
    "utf-8": "utf-16",
    "utf8": "utf16",
    "UTF-8": "UTF-16",
    "ascii": "utf-16",
    "latin-1": "utf-16",
    "utf-16": "utf-8",
}
_ENDS = {r"\r\n": r"\n", r"\n": r"\r", r"\\r\\n": r"\\n"}


def _sites(function: Function) -> Iterator[Site]:
    for statement in function.statements:
        for node in ast.walk(statement):
            if not isinstance(node, ast.Constant) or node.end_lineno != node.lineno:
                continue
            old = function.lines[node.lineno - 1][node.col_offset : node.end_col_offset]
            body = old.strip("bBrRuU\"'")
            new = _CODECS.get(body) or _ENDS.get(body)
            if new is not None and body in old:
                yield Site(node.lineno, node.col_offset, old, old.replace(body, new))


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from drafts(look, rng, _sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("wrong-codec", "compatibility", _drafts)

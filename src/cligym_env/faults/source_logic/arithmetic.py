"""A calculation in a called function uses the wrong operator."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts, offset

__all__ = ["create"]

_SWAPS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.FloorDiv: ("//", "*"),
    ast.Div: ("/", "*"),
    ast.Mod: ("%", "+"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}
_HINT = "One calculation in the package's own code combines its operands the wrong way."


def _sites(function: Function) -> Iterator[Site]:
    for statement in function.statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.BinOp) and type(node.op) in _SWAPS:
                old, new = _SWAPS[type(node.op)]
                site = offset(function, node.left, node.right, old)
                if site is not None:
                    yield replace(site, new=new)
            elif isinstance(node, ast.AugAssign) and type(node.op) in (ast.Add, ast.Sub):
                old, new = ("+=", "-=") if isinstance(node.op, ast.Add) else ("-=", "+=")
                site = offset(function, node.target, node.value, old)
                if site is not None:
                    yield replace(site, new=new)


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from drafts(look, rng, _sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("arithmetic", "source-logic", _drafts)

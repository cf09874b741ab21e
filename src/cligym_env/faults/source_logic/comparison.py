"""A comparison in a called function decides the wrong way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts, offset

__all__ = ["create"]

_SWAPS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", ">="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", "<="),
    ast.GtE: (">=", ">"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_HINT = "One condition in the package's own code holds exactly when it should not, or stops one short."


def _sites(function: Function) -> Iterator[Site]:
    for node in ast.walk(function.node):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            old, new = _SWAPS[type(node.ops[0])]
            site = offset(function, node.left, node.comparators[0], old)
            if site is not None:
                yield replace(site, new=new)


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from drafts(look, rng, _sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("comparison", "source-logic", _drafts)

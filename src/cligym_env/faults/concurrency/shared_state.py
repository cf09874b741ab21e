"""What every call should have for itself is shared by all calls and all threads."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts

__all__ = ["create"]

_HINT = "One caller sees what another one did; something is kept that should begin anew each time."


def _sites(function: Function) -> Iterator[Site]:
    for statement in function.statements:
        for node in ast.walk(statement):
            if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
                continue
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            value = node.value
            line = function.lines[value.lineno - 1]
            text = line[value.col_offset : value.end_col_offset]
            if value.end_lineno != value.lineno or not _fresh(value):
                continue
            name = (
                target.id
                if isinstance(target, ast.Name)
                else target.attr
                if isinstance(target, ast.Attribute)
                else ""
            )
            if name:
                new = f'globals().setdefault("_shared_{name.strip("_")}", {text})'
                yield Site(value.lineno, value.col_offset, text, new)


def _fresh(value: ast.expr) -> bool:
    """Whether an expression makes a new, empty container."""
    if isinstance(value, ast.List):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    if not isinstance(value, ast.Call) or value.args or value.keywords:
        return False
    return isinstance(value.func, ast.Name) and value.func.id in {
        "list",
        "dict",
        "set",
        "bytearray",
        "deque",
        "OrderedDict",
    }


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from drafts(look, rng, _sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("shared-state", "concurrency", _drafts)

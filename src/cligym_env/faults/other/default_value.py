"""A parameter that callers leave out has another default than they count on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts

__all__ = ["create"]

_HINT = "Who says everything gets the right answer; who leaves something out does not."


def _sites(function: Function) -> Iterator[Site]:
    arguments = function.node.args
    for node in [
        *arguments.defaults,
        *(default for default in arguments.kw_defaults if default is not None),
    ]:
        if not isinstance(node, ast.Constant) or node.end_lineno != node.lineno:
            continue
        old = function.lines[node.lineno - 1][node.col_offset : node.end_col_offset]
        if isinstance(node.value, bool):
            yield Site(node.lineno, node.col_offset, old, str(not node.value))
        elif isinstance(node.value, int) and old == str(node.value):
            yield Site(node.lineno, node.col_offset, old, str(node.value + 1))
        elif (
            isinstance(node.value, str)
            and 0 < len(node.value) < 12
            and node.value.isalnum()
            and node.value in old
        ):
            yield Site(node.lineno, node.col_offset, old, old.replace(node.value, node.value[::-1]))


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from drafts(look, rng, _sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("default-value", "other", _drafts)

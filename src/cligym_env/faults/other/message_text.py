"""A text that the package shows to people was mangled, and tests look for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts

__all__ = ["create"]

_HINT = "The package does the right thing and says it wrongly."
_WORD = re.compile(r"[A-Za-z]{5,}")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    tests = look.test_text

    def sites(function: Function) -> Iterator[Site]:
        for statement in function.statements:
            for node in ast.walk(statement):
                if (
                    not isinstance(node, ast.Constant)
                    or not isinstance(node.value, str)
                    or " " not in node.value
                ):
                    continue
                line = function.lines[node.lineno - 1]
                if node.end_lineno != node.lineno or node.value not in line:
                    continue
                start = line.index(node.value, node.col_offset)
                for word in _WORD.finditer(node.value):
                    # With its neighbour, so that it is this text that a test looks for.
                    pairs = re.findall(rf"(?:[\w-]+ )?{word[0]}(?: [\w-]+)?", node.value)
                    if any(" " in pair and pair in tests for pair in pairs) and word[0][1] != word[0][2]:
                        new = word[0][0] + word[0][2] + word[0][1] + word[0][3:]
                        yield Site(node.lineno, start + word.start(), word[0], new)

    yield from drafts(look, rng, sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("message-text", "other", _drafts)

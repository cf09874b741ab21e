"""Code that is meant for other versions or systems is taken on this one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site
from cligym_env.faults._source import Function, drafts

__all__ = ["create"]

_HINT = "The package believes to run on another system or another version of the interpreter than it does."
# A pattern with one group, and what the group becomes; a version becomes one yet to come.
_GUARDS = (
    (re.compile(r"sys\.version_info\s*(?:>=|<)\s*\(3,\s*(\d+)"), ""),
    (re.compile(r"sys\.platform(?:\.startswith\(| *[!=]= *)[\"'](win(?:32)?)[\"']"), "linux"),
    (re.compile(r"sys\.platform(?:\.startswith\(| *[!=]= *)[\"'](darwin)[\"']"), "linux"),
    (re.compile(r"sys\.platform(?:\.startswith\(| *[!=]= *)[\"'](linux)[\"']"), "sunos"),
    (re.compile(r"os\.name *[!=]= *[\"'](nt)[\"']"), "posix"),
    (re.compile(r"os\.name *[!=]= *[\"'](posix)[\"']"), "nt"),
)


def _sites(function: Function) -> Iterator[Site]:
    for number in range(function.node.lineno, (function.node.end_lineno or 0) + 1):
        for pattern, other in _GUARDS:
            for match in pattern.finditer(function.lines[number - 1]):
                yield Site(number, match.start(1), match[1], other or str(int(match[1]) + 12))


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from drafts(look, rng, _sites, hint=_HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("version-guard", "compatibility", _drafts)

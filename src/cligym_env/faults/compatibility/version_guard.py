"""Code that is meant for other versions or systems is taken on this one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site, shuffled, swap_line

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


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    for path in shuffled(look.sources, rng):
        found = []
        for number, line in enumerate(look.text(path).split("\n"), 1):
            for pattern, other in _GUARDS:
                for match in pattern.finditer(line):
                    new = other or str(int(match[1]) + 12)
                    found.append((number, line, match.start(1), match[1], new))
        for number, line, at, old, new in shuffled(found, rng)[:4]:
            pair = swap_line(path, line, Site(number, at, old, new))
            if pair is not None:
                parameters = {"file": path, "line": str(number), "old": old, "new": new}
                yield Draft([pair[0]], [pair[1]], _HINT, parameters)


def create() -> FaultFamily:
    """Give the family."""
    return Family("version-guard", "compatibility", _drafts)

"""A line of C decides or counts wrongly, and the library was built and installed with it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, shuffled, swap_line
from cligym_env.faults._native import changes, libraries, rebuild

__all__ = ["create"]

_HINT = "One line of the library's source is wrong; mending it helps only once it is built and installed."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    found = libraries(look)
    for _, library in shuffled(((library.target, library) for library in found), rng):
        for file in shuffled(library.sources, rng)[:6]:
            for line, site in changes(look, file, rng, most=4):
                pair = swap_line(file, line, site)
                if pair is not None:
                    make = rebuild(library, look)
                    parameters = {"file": file, "line": str(site.line), "old": site.old, "new": site.new}
                    yield Draft([pair[0], make], [pair[1], make], _HINT, parameters)


def create() -> FaultFamily:
    """Give the family."""
    return Family("c-source", "source-logic", _drafts)

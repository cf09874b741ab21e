"""The interpreter starts with a resource limit that is too low for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look
from cligym_env.faults._startup import block

__all__ = ["create"]

_HINT = "The machine has enough of everything; something lowers what one process may take."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    limits = [("RLIMIT_FSIZE", str(rng.choice([0, 512, 1024])), "size of files")]
    if any(event.startswith(("socket.", "pty.", "subprocess.", "sqlite3.")) for event in look.usage.events):
        limits.append(("RLIMIT_NOFILE", str(rng.choice([10, 11, 12])), "open files"))
    rng.shuffle(limits)
    for name, value, what in limits:
        lines = ["import resource", f"resource.setrlimit(resource.{name}, ({value}, {value}))"]
        draft = block(look, f"keep {what} in bounds", lines, _HINT, {"limit": name, "value": value})
        if draft is not None:
            yield draft


def create() -> FaultFamily:
    """Give the family."""
    return Family("resource-limit", "infrastructure", _drafts)

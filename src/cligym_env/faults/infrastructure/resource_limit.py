"""The interpreter starts with a limit that is too low for what the tests write."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look
from cligym_env.faults._startup import block

__all__ = ["create"]

_HINT = "The disk has room, but one process may not use much of it; something lowers what it may take."
_WRITERS = ("sqlite3.connect", "shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.make_archive")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    if not any(event in look.usage.events for event in _WRITERS):
        return
    value = str(rng.choice([4096, 8192, 10240]))
    lines = ["import resource", f"resource.setrlimit(resource.RLIMIT_FSIZE, ({value}, {value}))"]
    title = rng.choice(["keep files small", "disk is precious", "no large files"])
    draft = block(look, title, lines, _HINT, {"limit": "RLIMIT_FSIZE", "value": value})
    if draft is not None:
        yield draft


def create() -> FaultFamily:
    """Give the family."""
    return Family("resource-limit", "infrastructure", _drafts)

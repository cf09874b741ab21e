"""A limit on processes and threads that is reached by the first one a test starts."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look
from cligym_env.faults._startup import block

__all__ = ["create"]

_HINT = "No thread and no process can be started, though the machine is idle; look at what limits a user."
_STARTERS = ("_thread.start_new_thread", "os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    started = max((look.usage.events.get(event, 0) for event in _STARTERS), default=0)
    # A server that cannot start its thread waits for it until the deadline of the whole run.
    if not started or "socketserver" in look.usage.modules:
        return
    lines = [
        "import os, resource",
        "if os.getuid() >= 1000:",
        "    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))",
    ]
    title = rng.choice(["one process a user", "no runaway jobs", "fair share of the machine"])
    draft = block(look, title, lines, _HINT, {"limit": "RLIMIT_NPROC"})
    if draft is not None:
        yield draft


def create() -> FaultFamily:
    """Give the family."""
    return Family("process-limit", "concurrency", _drafts)

"""A lock file that a job left behind when it died keeps everybody else out."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q
from cligym_env.faults.concurrency._guards import guardable, insert, label

__all__ = ["create"]

_HINT = "Somebody who is said to be at work has been gone for long."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    folder = f"/var/lib/{look.gold.name}"
    for function, number, indent in guardable(look, rng):
        lock = f"{folder}/{label(function)}.lock"
        pid = str(rng.randrange(4_000, 30_000))
        message = rng.choice(["is locked by process", "is in use by process", "waits for process"])
        lines = [
            "import os.path",
            f'if os.path.exists("{lock}"):',
            f'    raise RuntimeError("{label(function)} {message} " + open("{lock}").read().strip())',
        ]
        yield Draft(
            [
                f"mkdir -p {q(folder)}",
                f"echo {pid} > {q(lock)}",
                insert(function.file, number, indent, lines),
            ],
            [f"rm {q(lock)}"],
            _HINT,
            {"function": function.name, "lock": lock, "pid": pid},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("stale-lock", "concurrency", _drafts)

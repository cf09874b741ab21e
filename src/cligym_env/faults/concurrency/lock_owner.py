"""An advisory lock file belongs to root, so that the ordinary user can never take the lock."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q
from cligym_env.faults.concurrency._guards import guardable, insert, label

__all__ = ["create"]

_HINT = "The lock is free, but not everybody may take it."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    folder = f"/var/lib/{look.gold.name}"
    for function, number, indent in guardable(look, rng):
        lock = f"{folder}/{label(function)}.lock"
        lines = [
            "import fcntl",
            f'with open("{lock}", "a") as turn:',
            "    fcntl.flock(turn, fcntl.LOCK_EX)",
        ]
        mode = rng.choice(["600", "644", "640"])
        yield Draft(
            [
                f"mkdir -p {q(folder)}",
                f"install -m {mode} /dev/null {q(lock)}",
                insert(function.file, number, indent, lines),
            ],
            [f"chown {look.gold.user}: {q(lock)}"],
            _HINT,
            {"function": function.name, "lock": lock, "mode": mode},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("lock-owner", "concurrency", _drafts)

"""A function takes a lock and never gives it back: the second caller does not get in."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q
from cligym_env.faults.concurrency._guards import guardable, insert, label

__all__ = ["create"]

_HINT = "What works once does not work twice; think of what the first caller leaves behind."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    for function, number, indent in guardable(look, rng, least=3):
        name = rng.choice(["_turn", "_busy", "_entry", "_gate"])
        if function.lines[-1] or any(name in line for line in function.lines):
            continue
        wait_s = rng.choice(["0.01", "0.02"])
        lines = [
            f"if not {name}.acquire(timeout={wait_s}):",
            f'    raise RuntimeError("{label(function)} is in use by another thread")',
        ]
        file = q(function.file)
        yield Draft(
            [
                insert(function.file, number, indent, lines),
                f"echo '{name} = __import__(\"threading\").Lock()' >> {file}",
            ],
            [f"sed -i -e {number},{number + 1}d -e '$d' {file}"],
            _HINT,
            {"function": function.name, "file": function.file, "line": str(number)},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("leaked-lock", "concurrency", _drafts)

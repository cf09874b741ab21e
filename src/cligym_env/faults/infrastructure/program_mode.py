"""A program that the tests execute is not executable for their user."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "A program that the package calls is installed, but not for everybody."
# Without these no command of a repair runs either.
_ESSENTIAL = frozenset({"bash", "dash", "sh", "env", "chmod", "ls", "cat"})


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    programs = [path for path in look.usage.programs if look.gold.language == "python" or look.own(path)]
    real = {node.real for node in look.nodes(programs).values()}
    nodes = look.nodes(shuffled(real, rng))
    for path, node in nodes.items():
        base = path.rpartition("/")[2]
        if node.kind != "file" or base in _ESSENTIAL or base.startswith("python"):
            continue
        # Sources with an execute bit are imported, not executed.
        if not node.mode & 0o001 or node.size_bytes > 4 << 20 or path.endswith(".py"):
            continue
        broken = rng.choice([node.mode & ~0o111, node.mode & ~0o007])
        if not node.owner.startswith("root:"):
            broken = node.mode & ~0o111
        yield Draft(
            [f"chmod {broken:o} {q(path)}"],
            [f"chmod {node.mode:o} {q(path)}"],
            _HINT,
            {"program": path, "mode": f"{node.mode:o}", "broken_mode": f"{broken:o}"},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("program-mode", "infrastructure", _drafts)

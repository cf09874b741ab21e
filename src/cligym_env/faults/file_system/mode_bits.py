"""Something that the tests' ordinary user must read has lost its bits for others."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import SITE, STDLIB, ZONES, Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "What root can read, the user who runs the tests cannot."


def _places(look: Look) -> set[str]:
    """Root's files and folders that the tests need: compiled modules, packages, data, libraries."""
    places = set(look.extensions)
    for name, file in look.usage.modules.items():
        if file.startswith((SITE, STDLIB)) and look.partly(name):
            folder, _, base = file.rpartition("/")
            if base == "__init__.py" and folder not in (SITE, STDLIB):
                places.add(folder)
    places |= {path for path in look.usage.files if path.startswith(SITE) and not path.endswith(".pth")}
    places |= {ZONES + name for name in look.zones}
    return places


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    nodes = look.nodes(shuffled(_places(look), rng))
    for node in nodes.values():
        real = look.node(node.real) if node.kind == "link" else node
        if real.kind not in ("file", "dir") or not real.owner.startswith("root:") or not real.mode & 0o004:
            continue
        broken = rng.choice([real.mode & ~0o007, real.mode & ~0o077])
        parameters = {"path": node.real, "mode": f"{real.mode:o}", "broken_mode": f"{broken:o}"}
        place = q(node.real)
        yield Draft([f"chmod {broken:o} {place}"], [f"chmod {real.mode:o} {place}"], _HINT, parameters)


def create() -> FaultFamily:
    """Give the family."""
    return Family("mode-bits", "file-system", _drafts)

"""A file of the time zone database that the tests read holds the rules of another zone."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "A place on earth keeps the time of another one; the database of places has a second copy."
_ROOT = "/usr/share/zoneinfo/"
_OTHERS = ("Asia/Kolkata", "America/Caracas", "Pacific/Apia", "Africa/Nairobi", "Etc/GMT+5")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    zones = [
        path
        for path in look.usage.files
        if path.startswith(_ROOT) and not path.endswith((".zi", ".tab", ".list"))
    ]
    for path in shuffled(zones, rng):
        name = path.removeprefix(_ROOT)
        other = rng.choice([zone for zone in _OTHERS if zone != name])
        node = look.node(path)
        if node.kind == "link":
            yield Draft(
                [f"ln -sfn {q(_ROOT + other)} {q(path)}"],
                [f"ln -sfn {q(node.target)} {q(path)}"],
                _HINT,
                {"zone": name, "other": other},
            )
        elif node.kind == "file" and look.data(f"{_ROOT}posix/{name}") == look.data(path):
            yield Draft(
                [f"cp --remove-destination {q(_ROOT + other)} {q(path)}"],
                [f"cp --remove-destination {q(f'{_ROOT}posix/{name}')} {q(path)}"],
                _HINT,
                {"zone": name, "other": other},
            )


def create() -> FaultFamily:
    """Give the family."""
    return Family("zone-data", "compatibility", _drafts)

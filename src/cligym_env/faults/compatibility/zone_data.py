"""A file of the time zone database that the tests read is cut off, or holds another zone's rules."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import ZONES, Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "One place on earth does not keep its time; the rules of all places lie here as text, too."
_SOURCE = f"{ZONES}tzdata.zi"
_OTHERS = ("Asia/Kolkata", "America/Caracas", "Pacific/Apia", "Africa/Nairobi", "Etc/GMT+5")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    compiled = look.node(_SOURCE).kind and look.node("/usr/sbin/zic").kind
    for name in shuffled((name for name in look.zones if not name.startswith("Etc/")), rng):
        path = ZONES + name
        other = rng.choice([zone for zone in _OTHERS if zone != name])
        node = look.node(path)
        parameters = {"zone": name, "other": other}
        if node.kind == "link":
            back = [f"ln -sfn {q(node.target)} {q(path)}"]
            yield Draft([f"ln -sfn {q(ZONES + other)} {q(path)}"], back, _HINT, parameters)
        elif node.kind == "file" and node.size_bytes > 200 and compiled:
            folder = "/root/zones"
            swap = f"cp --remove-destination {q(ZONES + other)} {q(path)}"
            cut = f"truncate -s {rng.randrange(10, 60)} {q(path)}"
            parameters["kind"] = rng.choice(["cut", "cut", "other zone"])
            yield Draft(
                [cut if parameters["kind"] == "cut" else swap],
                [
                    f"zic -b fat -d {folder} {_SOURCE}",
                    f"cp --remove-destination {q(f'{folder}/{name}')} {q(path)}",
                    f"rm -r {folder}",
                ],
                _HINT,
                parameters,
            )


def create() -> FaultFamily:
    """Give the family."""
    return Family("zone-data", "compatibility", _drafts)

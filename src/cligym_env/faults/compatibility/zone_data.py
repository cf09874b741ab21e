"""A file of the time zone database that the tests read holds the rules of another zone."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "A place on earth keeps the time of another one; the rules of all places lie here as text, too."
_ROOT = "/usr/share/zoneinfo/"
_SOURCE = f"{_ROOT}tzdata.zi"
_OTHERS = ("Asia/Kolkata", "America/Caracas", "Pacific/Apia", "Africa/Nairobi", "Etc/GMT+5")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    named = look.own_text + look.test_text
    zones = [
        path for path in look.usage.files if path.startswith(_ROOT) and path.removeprefix(_ROOT) in named
    ]
    compiled = look.node(_SOURCE).kind and look.node("/usr/sbin/zic").kind
    for path in shuffled((path for path in zones if not path.endswith("/UTC")), rng):
        name = path.removeprefix(_ROOT)
        other = rng.choice([zone for zone in _OTHERS if zone != name])
        node = look.node(path)
        parameters = {"zone": name, "other": other}
        if node.kind == "link":
            back = [f"ln -sfn {q(node.target)} {q(path)}"]
            yield Draft([f"ln -sfn {q(_ROOT + other)} {q(path)}"], back, _HINT, parameters)
        elif node.kind == "file" and node.size_bytes > 200 and compiled:
            folder = "/root/zones"
            yield Draft(
                [f"cp --remove-destination {q(_ROOT + other)} {q(path)}"],
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

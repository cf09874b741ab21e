"""The system looks names up in the wrong sources: hosts, users or services are not found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "The system knows the name, but does not look where it is written down."
_FILE = "/etc/nsswitch.conf"
# What asks a database by name; numbers do not need one.
_DATABASES = {
    "hosts": r"(bind|connect|connection|getaddrinfo|[hH]ost *=|[sS]erver) *\(* *[\"']localhost[\"']",
    "passwd": r"getpw(nam|uid)|\.owner\(\)|expanduser\([\"']~\w",
    "group": r"getgr(nam|gid)",
    "services": r"getservby",
    "protocols": r"getprotobyname",
}


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    text = look.text(_FILE)
    if _FILE not in look.usage.files and not look.usage.events.get("socket.getaddrinfo"):
        return
    said = look.own_text + look.test_text
    used = {name for name, pattern in _DATABASES.items() if re.search(pattern, said)}
    for name in shuffled(used, rng):
        number, line = next(
            ((n, t) for n, t in enumerate(text.split("\n"), 1) if re.match(rf"{name}:.*\bfiles\b", t)),
            (0, ""),
        )
        if number:
            other = line.replace("files", rng.choice(["db", "sss", "ldap"]))
            yield Draft(
                [f"sed -i {q(f'{number}s/.*/{other}/')} {_FILE}"],
                [f"sed -i {q(f'{number}s/.*/{line}/')} {_FILE}"],
                _HINT,
                {"database": name, "broken": other},
            )


def create() -> FaultFamily:
    """Give the family."""
    return Family("name-service", "network-security", _drafts)

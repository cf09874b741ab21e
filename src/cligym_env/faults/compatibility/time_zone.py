"""The system is set to another time zone than the tests take for granted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q
from cligym_env.faults._variables import set_variables

__all__ = ["create"]

_HINT = "All is well with the code, but this machine believes to be somewhere else."
_LINK = "/etc/localtime"
_LOCAL = re.compile(r"localtime|mktime|astimezone|fromtimestamp|tzset|tzname|\bTZ\b")
_ZONES = (
    "Asia/Kathmandu",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Asia/Tehran",
    "America/New_York",
)


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    reads = any(
        path.startswith(("/usr/share/zoneinfo", _LINK, "/etc/timezone")) for path in look.usage.files
    )
    if not (reads or "TZ" in look.usage.variables) or not (
        _LOCAL.search(look.own_text) and _LOCAL.search(look.test_text)
    ):
        return
    zone = rng.choice(_ZONES)
    node = look.node(_LINK)
    drafts = []
    if node.kind == "link":
        drafts.append(
            Draft(
                [f"ln -sfn /usr/share/zoneinfo/{zone} {_LINK}", f"echo {zone} > /etc/timezone"],
                [
                    f"ln -sfn {q(node.target)} {_LINK}",
                    f"echo {q(look.text('/etc/timezone').strip())} > /etc/timezone",
                ],
                _HINT,
                {"zone": zone},
            )
        )
    drafts.append(set_variables(look, {"TZ": rng.choice([zone, f":{zone}", "Mars/Olympus"])}, _HINT))
    # A variable reaches what reads the link, too; the other way round it does not.
    yield from reversed(drafts)


def create() -> FaultFamily:
    """Give the family."""
    return Family("time-zone", "compatibility", _drafts)

"""A script that the tests execute names an interpreter that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, Site, shuffled, swap_line

__all__ = ["create"]

_HINT = "A program is there and executable, and still the system says that there is no such file."


def _other(interpreter: str, rng: Random) -> str:
    if "python" in interpreter.rpartition("/")[2]:
        return rng.choice(["/usr/bin/python2.7", "/usr/local/bin/python3.9", "/opt/python/3.8/bin/python3"])
    return rng.choice([f"/usr/local{interpreter.removeprefix('/usr')}", f"/opt{interpreter}"])


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    real = {node.real for node in look.nodes(look.usage.programs).values()}
    for path in shuffled(real, rng):
        # Sources with a first line like that are imported, not executed.
        data = b"" if path.endswith(".py") else look.data(path)
        if not data.startswith(b"#!/"):
            continue
        line = data.partition(b"\n")[0].decode("utf-8", "replace")
        old = line[2:].split()[0] if line[2:].split() else ""
        new = _other(old, rng)
        if look.node(new).kind:
            continue
        pair = swap_line(path, line, Site(1, 2, old, new))
        if pair is not None:
            yield Draft([pair[0]], [pair[1]], _HINT, {"script": path, "interpreter": old, "broken": new})


def create() -> FaultFamily:
    """Give the family."""
    return Family("shebang", "infrastructure", _drafts)

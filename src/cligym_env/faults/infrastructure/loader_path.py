"""The loader finds no library under the name it looks for, or a stray one before the right one."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled

__all__ = ["create"]

_GONE = "The library itself is installed; ask how the loader gets from the name it looks for to the file."
_STRAY = (
    "The loader finds a library of the right name, only not the one that the package manager put there."
)
_STRAY_FOLDER = "/usr/local/lib"

_LINKS = """
import json, os, sys
found = {}
for real in json.load(sys.stdin):
    folder = os.path.dirname(real)
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.islink(path) and os.path.realpath(path) == real and ".so." in name:
            found[path] = os.readlink(path)
print(json.dumps(found))
"""


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    system = [
        path
        for path in look.extensions
        if path.startswith(("/usr/lib/x86_64-linux-gnu/", "/usr/local/lib/"))
    ]
    links = look.python(_LINKS, [node.real for node in look.nodes(system).values()]) or {}
    for link in shuffled(links, rng):
        name = link.rpartition("/")[2]
        stray = f"{_STRAY_FOLDER}/{name}"
        drafts = [
            Draft([f"rm {q(link)}"], ["ldconfig"], _GONE, {"link": link, "kind": "missing link"}),
            Draft(
                [
                    f"echo 'int {name.partition('.')[0].replace('-', '_')}_version = 0;' | "
                    f"gcc -shared -fPIC -Wl,-soname,{q(name)} -x c - -o {q(stray)}",
                    "ldconfig",
                ],
                [f"rm {q(stray)}", "ldconfig"],
                _STRAY,
                {"library": stray, "kind": "stray library"},
            ),
        ]
        rng.shuffle(drafts)
        yield from drafts


def create() -> FaultFamily:
    """Give the family."""
    return Family("loader-path", "infrastructure", _drafts)

"""A link on the way to something the tests use points to what is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import SITE, ZONES, Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "A chain of links ends in nothing; follow it link by link."

# The linker's names, which no test uses, and the interpreter's, without which nothing starts.
_LEFT_OUT = re.compile(r"\.so$|/python[\d.]*$")

_FIND = """
import json, os, sys
roots, wanted = json.load(sys.stdin)
wanted, found = set(wanted), {}
for root, deep in roots:
    for folder, folders, names in os.walk(root):
        if not deep:
            folders_below, folders[:] = list(folders), []
        else:
            folders_below = folders
        for name in [*names, *folders_below]:
            path = os.path.join(folder, name)
            if os.path.islink(path) and os.path.realpath(path) in wanted:
                found[path] = os.readlink(path)
print(json.dumps(found))
"""


def _other(target: str, rng: Random) -> str:
    """A name like the target's, as it would be after an upgrade that took the target away."""
    numbers = list(re.finditer(r"\d+", target.rpartition("/")[2]))
    if numbers:
        last = numbers[-1]
        start = len(target) - len(target.rpartition("/")[2])
        number = int(last.group()) + rng.randint(1, 3)
        return f"{target[: start + last.start()]}{number}{target[start + last.end() :]}"
    folder, slash, name = target.rpartition("/")
    return f"{folder}{slash}{rng.choice(['default', 'current'])}/{name}"


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    wanted = {node.real for node in look.nodes(set(look.extensions) | set(look.usage.programs)).values()}
    wanted |= {path for path in look.usage.files if path.startswith(SITE)}
    roots = [("/etc/alternatives", False), ("/usr/lib/x86_64-linux-gnu", False), ("/usr/bin", False)]
    roots += [("/usr/local/lib", False), ("/opt/venv/bin", False)]
    roots += [(look.gold.workdir, True)]
    links = look.python(_FIND, [roots, sorted(wanted)]) or {}
    zones = look.nodes(ZONES + name for name in look.zones)
    links |= {path: node.target for path, node in zones.items() if node.kind == "link"}
    for link in shuffled((path for path in links if not _LEFT_OUT.search(path)), rng):
        target, broken = links[link], _other(links[link], rng)
        yield Draft(
            [f"ln -sfn {q(broken)} {q(link)}"],
            [f"ln -sfn {q(target)} {q(link)}"],
            _HINT,
            {"link": link, "target": target, "broken_target": broken},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("broken-symlink", "file-system", _drafts)

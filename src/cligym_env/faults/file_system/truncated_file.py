"""A file that the tests read was cut off, as on a full disk; the same content is found elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import IS_TEST, SITE, ZONES, Draft, Family, Look, q, shuffled
from cligym_env.faults._wheels import needed, reinstall

__all__ = ["create"]

_HINT = "A file has the right name and place but not all of its content."

_TWINS = """
import hashlib, json, os, sys
asked = json.load(sys.stdin)
def digest(path):
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()
wanted = {}
for path in asked:
    if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) > 64:
        wanted.setdefault(os.path.getsize(path), {})[path] = digest(path)
found = {}
for root in ("/etc", "/usr/share", "/usr/lib"):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            for one, content in wanted.get(os.path.getsize(path), {}).items():
                if one != path and os.stat(one).st_ino != os.stat(path).st_ino and digest(path) == content:
                    found.setdefault(one, path)
print(json.dumps(found))
"""


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    system = [ZONES + name for name in look.zones]
    twins = look.python(_TWINS, system) or {}
    for path in shuffled(twins, rng):
        size = look.node(path).size_bytes
        kept = rng.randrange(16, max(17, size // 2))
        yield Draft(
            [f"truncate -s {kept} {q(path)}"],
            [f"cp {q(twins[path])} {q(path)}"],
            _HINT,
            {"path": path, "size_bytes": str(size), "broken_size_bytes": str(kept)},
        )
    for distribution in shuffled(((d.name, d) for d in needed(look)), rng):
        found = distribution[1]
        files = {
            look.usage.modules[name]: name
            for name in found.modules
            if (look.partly(name) or look.lazily(name))
        }
        files |= {path: path for path in look.usage.files if path in found.files}
        plain = [path for path in files if path.startswith(SITE) and not IS_TEST.search(path)]
        for path, node in list(look.nodes(shuffled(plain, rng)).items())[:2]:
            if node.kind == "file" and node.size_bytes > 200:
                kept = rng.randrange(40, node.size_bytes * 3 // 4)
                parameters = {"path": path, "distribution": found.name, "broken_size_bytes": str(kept)}
                yield Draft([f"truncate -s {kept} {q(path)}"], [reinstall(found)], _HINT, parameters)


def create() -> FaultFamily:
    """Give the family."""
    return Family("truncated-file", "file-system", _drafts)

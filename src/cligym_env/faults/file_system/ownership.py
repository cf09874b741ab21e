"""A file of the repository belongs to root, and root alone may read it: a restore under ``sudo``."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "Somebody worked as root where the ordinary user should have; look at who owns what."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    modules = {file for file, name in look.sources.items() if look.partly(name)}
    data = set(look.data_files)
    folders = {path for path in look.usage.written if look.own(path) and look.gold.language == "python"}
    nodes = look.nodes(shuffled(modules | data | folders, rng))
    for path, node in nodes.items():
        if node.kind not in ("file", "dir") or node.owner.startswith("root:"):
            continue
        # Bytecode beside a source is read without the source, so both have to change hands.
        name = path.rpartition("/")[2].removesuffix(".py")
        cached = f"{path.rpartition('/')[0]}/__pycache__/{name}.cpython-311.pyc"
        targets = [path, cached] if path in modules and look.node(cached).kind else [path]
        words = " ".join(q(target) for target in targets)
        broken = "755" if node.kind == "dir" else rng.choice(["600", "640"])
        yield Draft(
            [f"chown root:root {words}", f"chmod {broken} {words}"],
            [f"chown {node.owner} {words}", f"chmod {node.mode:o} {words}"],
            _HINT,
            {"path": path, "owner": node.owner, "mode": f"{node.mode:o}"},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("ownership", "file-system", _drafts)

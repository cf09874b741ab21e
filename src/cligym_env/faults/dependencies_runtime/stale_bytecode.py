"""Bytecode that does not belong to its source is used in its place, or is cut short."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import PYTHON, STDLIB, Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "The source of a module is as it should be, and still something else runs, or nothing."


def _cached(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-311.pyc"


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    modules = {
        file: name
        for name, file in look.usage.modules.items()
        if file.endswith(".py")
        and look.partly(name)
        and (look.own(file) or file.startswith((STDLIB, "/opt/venv")))
    }
    for path in shuffled(modules, rng):
        cached = _cached(path)
        node = look.node(cached)
        if node.kind != "file" or node.size_bytes < 200:
            continue
        kept = rng.randrange(24, node.size_bytes // 2)
        compiler = "/usr/bin/python3" if path.startswith(STDLIB) else PYTHON
        yield Draft(
            [f"truncate -s {kept} {q(cached)}"],
            [f"rm {q(cached)}", f"{compiler} -m py_compile {q(path)}", f"chown {node.owner} {q(cached)}"],
            _HINT,
            {"module": modules[path], "file": cached, "broken_size_bytes": str(kept)},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("stale-bytecode", "dependencies-runtime", _drafts)

"""A stray file in the work folder has the name of a module, and is found before the real one."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q
from cligym_env.faults._shadow import shadowable, stub

__all__ = ["create"]

_HINT = "A name is imported from somewhere else than one would think; ask the module where it comes from."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    for name in shadowable(look, rng):
        text = stub(rng)
        place = f"{look.gold.workdir}/{name}"
        as_package = rng.random() < 0.4
        file = f"{place}/__init__.py" if as_package else f"{place}.py"
        if look.node(place).kind or look.node(f"{place}.py").kind:
            continue
        made = [f"mkdir {q(place)}"] if as_package else []
        yield Draft(
            [
                *made,
                f"cat > {q(file)} <<'EOF'\n{text}\nEOF",
                f"chown -R {look.gold.user}: {q(place if as_package else file)}",
            ],
            [f"rm -r {q(place)}" if as_package else f"rm {q(file)}"],
            _HINT,
            {"module": name, "file": file},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("shadow-module", "dependencies-runtime", _drafts)

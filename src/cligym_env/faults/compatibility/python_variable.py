"""A variable for the whole system makes every interpreter behave in another way."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q
from cligym_env.faults._shadow import shadowable, stub
from cligym_env.faults._variables import FILE, set_variables

__all__ = ["create"]

_HINT = "Every interpreter on this machine is told to behave differently than it does elsewhere."
_FOLDERS = ("/usr/local/lib/site-python", "/opt/tools/python", "/srv/python")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    """Search paths first: what they break was observed; the others depend on the code."""
    names = shadowable(look, rng)
    for name in names[:3]:
        folder = rng.choice(_FOLDERS)
        if look.node(folder).kind:
            continue
        variable = set_variables(look, {"PYTHONPATH": folder}, _HINT)
        yield Draft(
            [
                f"mkdir -p {q(folder)}",
                f"cat > {q(f'{folder}/{name}.py')} <<'EOF'\n{stub(rng)}\nEOF",
                *variable.commands,
            ],
            [*variable.solution, f"rm -r {q(_made(look, folder))}"],
            _HINT,
            {"PYTHONPATH": folder, "module": name, "file": FILE},
        )
    # Documentation that a program shows is gone at level 2, and so are its assertions.
    if any("__doc__" in look.text(file) or "getdoc" in look.text(file) for file in look.sources):
        yield set_variables(look, {"PYTHONOPTIMIZE": "2"}, _HINT)


def _made(look: Look, folder: str) -> str:
    """The highest folder that does not exist yet."""
    parts = folder.split("/")
    paths = ["/".join(parts[:end]) for end in range(2, len(parts) + 1)]
    return next(path for path in paths if not look.node(path).kind)


def create() -> FaultFamily:
    """Give the family."""
    return Family("python-variable", "compatibility", _drafts)

"""A ``.pth`` file in the virtual environment changes how modules are found, in every interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import SITE, Draft, Family, Look, q
from cligym_env.faults._shadow import shadowable, stub

__all__ = ["create"]

_HINT = "Something happens at the start of every interpreter of this virtual environment, before any test."
_NAMES = ("distutils-compat", "vendor", "legacy-imports", "site-overrides", "company-defaults")
_FOLDERS = ("/opt/compat/lib", "/usr/local/lib/python-legacy", "/opt/vendor/python")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    for name in shadowable(look, rng):
        pth = f"{SITE}/{rng.choice(_NAMES)}.pth"
        folder = rng.choice(_FOLDERS)
        if look.node(pth).kind or look.node(folder).kind:
            continue
        blocked = rng.random() < 0.5
        if blocked:
            line = f"import sys; sys.modules.setdefault({name!r}, None)"
            commands = [f"echo {q(line)} > {q(pth)}"]
        else:
            line = f"import sys; sys.path.insert(0, {folder!r})"
            commands = [
                f"mkdir -p {q(folder)}",
                f"cat > {q(f'{folder}/{name}.py')} <<'EOF'\n{stub(rng)}\nEOF",
                f"echo {q(line)} > {q(pth)}",
            ]
        solution = (
            [f"rm {q(pth)}"] if blocked else [f"rm {q(pth)}", f"rm -r {q('/'.join(folder.split('/')[:3]))}"]
        )
        if folder.startswith("/usr/local") and not blocked:
            solution[1] = f"rm -r {q(folder)}"
        yield Draft(
            commands,
            solution,
            _HINT,
            {"module": name, "file": pth, "kind": "blocked" if blocked else "path"},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("planted-pth", "dependencies-runtime", _drafts)

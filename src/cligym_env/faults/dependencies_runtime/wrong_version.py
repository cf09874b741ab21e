"""Another version of a distribution is installed than the tests were written for."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from packaging.version import Version

from cligym_env.core import FaultFamily
from cligym_env.faults._common import PYTHON, Draft, Family, Look, q, shuffled
from cligym_env.faults._wheels import TOOLS, installed, reinstall

__all__ = ["create"]

_HINT = "Everything is installed, but not everything in the version it should be."
_MAX_FILES = 55


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    for _, found in shuffled(((d.name, d) for d in installed(look)), rng):
        others = [version for version in found.wheels if version != found.version]
        if not others or found.name in TOOLS or len(found.files) > _MAX_FILES:
            continue
        if found.editable:
            # In the work folder itself a flat package is found without being installed.
            top = f"{look.gold.workdir}/{found.name.replace('-', '_')}"
            if look.nodes([top, f"{top}.py"]):
                continue
            # The repository itself, replaced by a released wheel: back to the checkout.
            solution = [f"cd {q(look.gold.workdir)}", *look.gold.install]
        elif found.version in found.wheels and found.modules:
            solution = [reinstall(found)]
        else:
            continue
        # The nearest ones first: with a very old one hardly any test passes.
        for other in sorted(others, key=Version, reverse=True)[:2]:
            yield Draft(
                [f"{PYTHON} -m pip install --quiet --no-deps {found.name}=={other}"],
                solution,
                _HINT,
                {"distribution": found.name, "version": found.version, "broken_version": other},
            )


def create() -> FaultFamily:
    """Give the family."""
    return Family("wrong-version", "dependencies-runtime", _drafts)

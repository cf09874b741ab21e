"""A distribution that some tests need is not installed any more."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import PYTHON, Draft, Family, Look, shuffled
from cligym_env.faults._wheels import needed

__all__ = ["create"]

_HINT = "Something the tests import was uninstalled; what is needed to install it lies on this machine."
_MAX_FILES = 55


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    for _, found in shuffled(((d.name, d) for d in needed(look)), rng):
        if len(found.files) > _MAX_FILES or not all(
            look.partly(name) or look.lazily(name) for name in found.modules
        ):
            continue
        yield Draft(
            [f"{PYTHON} -m pip uninstall --quiet --yes {found.name}"],
            [f"{PYTHON} -m pip install --no-deps {found.name}=={found.version}"],
            _HINT,
            {"distribution": found.name, "version": found.version},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("missing-distribution", "dependencies-runtime", _drafts)

"""Gold environments: a repository's recipe, its lock, and the image in which its tests pass.

::

    from cligym_env import gold, plugins

    backend = plugins.create("backends", "embedded")
    h11 = gold.load("h11")
    sandbox = backend.start(gold.image(h11, backend))

Recipes lie in ``gold/`` of the data folder (``files.data()``), and a user's own in ``gold/`` of the
home or anywhere, given by their path.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from cligym_env import files
from cligym_env.core import Backend, Gold, Image
from cligym_env.errors import UnknownNameError
from cligym_env.gold import _build
from cligym_env.gold import lock as _lock
from cligym_env.gold import recipe as _recipe
from cligym_env.gold._host import Report, bar

__all__ = ["build", "image", "load", "names", "recipe_file"]


def names() -> tuple[str, ...]:
    """List the golds there are recipes for, sorted."""
    return tuple(sorted(_recipes()))


def recipe_file(name: str) -> Path:
    """Give the place of a recipe.

    Args:
        name: of a gold, or the path of a recipe (``….toml``).

    Raises:
        UnknownNameError: no such gold; carries the nearest names.
    """
    if name.endswith(".toml"):
        return Path(name).expanduser().absolute()
    known = _recipes()
    if name not in known:
        raise UnknownNameError("gold", name, known)
    return known[name]


def load(name: str) -> Gold:
    """Read a recipe, and the lock beside it when the lock is that recipe's.

    Args:
        name: of a gold, or the path of a recipe (``….toml``).

    Raises:
        UnknownNameError: no such gold; carries the nearest names.
        RecipeError: recipe or lock is malformed.
    """
    file = recipe_file(name)
    return _lock.applied(_recipe.read(file), _lock.read(file))


def image(gold: Gold, backend: Backend, *, progress: Report | None = None) -> Image:
    """Give a gold's image; on first use it is made and checked by one run of its suite.

    Args:
        gold: with its passing set, as ``load`` and ``build`` give it.
        backend: in whose store.
        progress: told in one line what goes on; a bar on a terminal when left out.

    Raises:
        GoldError: the gold has no lock, cannot be made, or does not pass here (names the tests).
        ImageError: the machine failed: no network, disk full, a missing program.
    """
    found = backend.find(_build.tag(gold))
    if found is not None:
        return found
    file = _recipes().get(gold.name)
    known = _lock.current(file, gold) if file else None
    with bar(f"gold {gold.name}", progress) as report:
        return _build.image(gold, backend, known, report=report)


def build(
    name: str,
    backend: Backend,
    *,
    n_runs: int = 5,
    fresh: bool = False,
    observe_again: bool = False,
    progress: Report | None = None,
) -> Gold:
    """Build a gold in full: make it, run its suite several times, observe it, write its lock.

    A test that passes in some runs only leaves the set. When the lock has runs on other back ends
    too, the passing sets must be equal.

    Args:
        name: of a gold, or the path of a recipe (``….toml``).
        backend: on which.
        n_runs: how often the suite runs, each time in a fresh sandbox.
        fresh: make the image and the observation again although they are there.
        observe_again: make the observation again.
        progress: told in one line what goes on; a bar on a terminal when left out.

    Raises:
        UnknownNameError: no such gold; carries the nearest names.
        RecipeError: recipe or lock is malformed.
        GoldError: cannot be made, fails in every run, or passes otherwise on another back end;
            names the tests.
        ImageError: the machine failed: no network, disk full, a missing program.
    """
    file = recipe_file(name)
    gold = _recipe.read(file)
    version = importlib.metadata.version("cligym-env")
    with bar(f"gold {gold.name}", progress) as report:
        return _build.locked_build(
            gold,
            file,
            backend,
            n_runs=n_runs,
            fresh=fresh,
            again=observe_again,
            version=version,
            report=report,
        )


def _recipes() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in (files.home() / "gold", files.data() / "gold"):
        found.update({file.stem: file for file in sorted(folder.glob("*.toml"))})
    return found

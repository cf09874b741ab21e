"""Task folders to Gymnasium ids: by their names alone, so that ten thousand of them cost nothing.

Ids are ``CLIGym/<task id>`` for repairing and ``CLIGym/break.<gold>`` for breaking. The specs go
straight into ``gymnasium.registry``: ``gymnasium.register`` looks through the whole registry for
every id. What it would refuse is refused here.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from cligym_env import files
from cligym_env.errors import UsageError

__all__ = ["BREAK", "NAMESPACE", "folders", "golds", "register"]

NAMESPACE = "CLIGym"
BREAK = "break"

_ID = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+", re.ASCII)
_VERSION = re.compile(r"-v\d+$")

_folders: dict[str, Path] = {}
_golds: set[str] = set()


def folders() -> dict[str, Path]:
    """Give task id → task folder, for all that is registered."""
    return dict(_folders)


def golds() -> frozenset[str]:
    """Give the golds that can be broken, for all that is registered."""
    return frozenset(_golds)


def register(folder: Path | None = None) -> tuple[str, ...]:
    """Register every task in a folder of task folders; no file in them is opened.

    Without a folder: the shipped golds and tasks (``files.data()``) and those of the home, with a
    warning for each folder whose name is no task id. ``import cligym_env`` does that. Registering
    the same folder again changes nothing.

    Args:
        folder: holds task folders, each named after its task's id.

    Returns:
        The task ids that are new, sorted.

    Raises:
        UsageError: a name is no task id, or is taken by another folder; nothing is registered.
    """
    if folder is not None:
        found = dict(_tasks(folder.expanduser().absolute()))
        problems = [problem for name, place in found.items() if (problem := _problem(name, place))]
        if not folder.is_dir():
            problems.append(f"{folder} is no folder")
        if problems:
            raise UsageError("; ".join(problems[:3]) + (" …" if len(problems) > 3 else ""))
        return _add(found)
    new: list[str] = []
    for root in (files.data(), files.home_path()):
        _add_golds(_stems(root / "gold"))
        good = {}
        for name, place in _tasks(root / "tasks"):
            problem = _problem(name, place)
            if problem:
                warnings.warn(problem, stacklevel=2)
            else:
                good[name] = place
        new += _add(good)
    return tuple(sorted(new))


def _tasks(folder: Path) -> Iterator[tuple[str, Path]]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] not in "._")
    except OSError:
        return
    for name in names:
        yield name, folder / name


def _stems(folder: Path) -> Iterable[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return ()
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _problem(name: str, place: Path) -> str:
    if not _ID.fullmatch(name):
        return f"{place}: {name!r} is no task id: letters, digits, '_' and '-', in parts joined by '.'"
    if _VERSION.search(name):
        return f"{place}: a task id cannot end like a version, as {name!r} does"
    known = _folders.get(name)
    if known not in (None, place):
        return f"{place}: the id {name!r} is taken by {known}"
    if known is None and f"{NAMESPACE}/{name}" in gymnasium.registry:
        return f"{place}: the id {NAMESPACE}/{name} is taken by something else"
    return ""


def _add(found: dict[str, Path]) -> tuple[str, ...]:
    new = sorted(found.keys() - _folders.keys())
    shipped = files.data() / "tasks"
    for name in new:
        place = found[name]
        # The id alone is enough for what every process finds by itself; anything else needs its place.
        target = name if place.parent == shipped else str(place)
        _spec(name, "cligym_env.envs.repair:RepairEnv", "cligym_env.envs.vector:repair", {"task": target})
        _folders[name] = place
    return tuple(new)


def _add_golds(names: Iterable[str]) -> None:
    for name in names:
        identifier = f"{BREAK}.{name}"
        if name not in _golds and _ID.fullmatch(identifier) and not _VERSION.search(identifier):
            _golds.add(name)
            _spec(
                identifier,
                "cligym_env.envs.breaker:BreakerEnv",
                "cligym_env.envs.vector:breaker",
                {"gold": name},
            )


def _spec(name: str, entry_point: str, vector_entry_point: str, kwargs: dict[str, Any]) -> None:
    identifier = f"{NAMESPACE}/{name}"
    # order_enforce: the environments raise errors of their own kind. max_episode_steps: they count
    # turns themselves, for a wrapper outside would end an episode without a verdict.
    gymnasium.registry[identifier] = EnvSpec(
        identifier,
        entry_point=entry_point,
        reward_threshold=1.0,
        order_enforce=False,
        vector_entry_point=vector_entry_point,
        kwargs=kwargs,
    )

"""Which tasks there are, and where they run: ids to tasks, names to back ends."""

from __future__ import annotations

import atexit
import os
import socket
import threading
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from cligym_env import gold as golds
from cligym_env import plugins, tasks
from cligym_env.core import CATEGORIES, Backend, Task
from cligym_env.errors import BackendUnavailableError, CligymError, UnknownNameError, UsageError
from cligym_env.registration import NAMESPACE, folders, register

__all__ = ["AUTO", "default_backend", "list_tasks", "open_backend", "register", "shared_backend", "task"]

AUTO = "auto"
"""The back end's name that stands for ``default_backend()``."""

_ORDER = ("docker", "embedded")
_ENGINE_ANSWER_S = 20.0
_DEFAULT_SOCKET = "/var/run/docker.sock"


# ── tasks ───────────────────────────────────────────────────────────────────────────────────


def task(name: str) -> Task:
    """Give one task.

    Args:
        name: its id, with or without ``CLIGym/``, or the path of a task folder.

    Raises:
        UnknownNameError: no such task; carries the nearest ids.
        RecipeError: its folder is malformed.
    """
    if not isinstance(name, str):
        raise UsageError(f"a task is named by a str, not by {type(name).__name__}")
    known = folders()
    identifier = name.removeprefix(f"{NAMESPACE}/")
    place = known.get(identifier)
    if place is None and (os.sep in identifier or (Path(name) / "task.toml").is_file()):
        place = Path(name).expanduser().absolute()
    if place is None:
        raise UnknownNameError("task", name, known)
    try:
        stamp = (place / "task.toml").stat().st_mtime_ns
    except OSError:
        stamp = 0  # the reading says what is wrong with it
    return _read(place, stamp)


@lru_cache(maxsize=1_024)
def _read(place: Path, stamp: int) -> Task:
    return tasks.read(place)


def list_tasks(
    *,
    category: str | None = None,
    gold: str | None = None,
    family: str | None = None,
    split: str | None = None,
) -> tuple[str, ...]:
    """List the ids of the registered tasks, sorted; each filter leaves what fits it.

    Args:
        category: one of ``core.CATEGORIES``.
        gold: name of a gold.
        family: name of a fault family.
        split: ``train`` or ``test``.

    Raises:
        UnknownNameError: nothing has that name; carries the nearest names.
        RecipeError: a task folder is malformed.
    """
    names = sorted(folders())
    if gold is not None:
        _known("gold", gold, {*golds.names(), *(name.split(".")[0] for name in names)})
        names = [name for name in names if name.split(".")[0] == gold]
    if family is not None:
        _known("family", family, {*plugins.names("faults"), *(name.split(".")[1] for name in folders())})
        names = [name for name in names if name.split(".")[1] == family]
    if split is not None:
        _known("split", split, ("train", "test"))
        names = [name for name in names if tasks.split_of(name) == split]
    if category is not None:
        _known("category", category, CATEGORIES)
        names = [name for name in names if task(name).category == category]
    return tuple(names)


def _known(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in set(known):
        raise UnknownNameError(kind, name, known)


# ── back ends ───────────────────────────────────────────────────────────────────────────────


def default_backend() -> str:
    """Name the back end that ``auto`` means.

    ``CLIGYM_BACKEND`` if it is set, else docker where an engine answers, else embedded.

    Raises:
        UnknownNameError: ``CLIGYM_BACKEND`` names none.
        BackendUnavailableError: none works here; says what would help.
    """
    wish = os.environ.get("CLIGYM_BACKEND")
    if wish and wish != AUTO:
        _known("backend", wish, plugins.names("backends"))
        return wish
    return _choose()


@cache
def _choose() -> str:
    reasons = []
    for name in _ORDER:
        if name == "docker" and not _engine_answers():
            reasons.append("docker: no engine answers; install docker.io and start dockerd")
            continue
        try:
            backend = open_backend(name)
        except CligymError as error:
            reasons.append(f"{name}: {error}")
            continue
        try:
            problems = backend.problems()
        finally:
            backend.close()
        if not problems:
            return name
        reasons.append(f"{name}: {'; '.join(problems)}")
    raise BackendUnavailableError("no back end works here: " + " | ".join(reasons))


def _engine_answers() -> bool:
    """Knock first: asking a machine that does not answer takes the SDK a minute."""
    try:
        parts = urlsplit(os.environ.get("DOCKER_HOST", ""))
        if parts.scheme in ("ssh", "npipe"):
            return True
        if parts.scheme in ("tcp", "http", "https"):
            port = parts.port or 2375
            with socket.create_connection((parts.hostname or "localhost", port), _ENGINE_ANSWER_S):
                return True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(_ENGINE_ANSWER_S)
            knock.connect(parts.path if parts.scheme == "unix" else _DEFAULT_SOCKET)
            return True
    except (OSError, ValueError):
        return False


def open_backend(name: str = AUTO) -> Backend:
    """Make a back end of the caller's own, to be closed by the caller.

    Args:
        name: of a back end, or ``auto``.

    Raises:
        UnknownNameError: no such back end; carries the nearest names.
        BackendUnavailableError: ``auto``, and none works here.
    """
    if not isinstance(name, str):
        raise UsageError(f"a back end is named by a str, not by {type(name).__name__}")
    return cast("Backend", plugins.create("backends", default_backend() if name == AUTO else name))


_lock = threading.Lock()
_shared: dict[str, Backend] = {}


def shared_backend(name: str = AUTO) -> Backend:
    """Give the process's one object of a back end; it is closed when the interpreter ends.

    Args:
        name: of a back end, or ``auto``.

    Raises:
        UnknownNameError: no such back end; carries the nearest names.
        BackendUnavailableError: ``auto``, and none works here.
    """
    with _lock:
        name = default_backend() if name == AUTO else name
        if name not in _shared:
            _shared[name] = open_backend(name)
        return _shared[name]


@atexit.register
def _close_shared() -> None:
    with _lock:
        for backend in _shared.values():
            backend.close()
        _shared.clear()


def _forget() -> None:
    """A forked child shares no engine, thread or sandbox with its parent."""
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = threading.Lock()
    _shared.clear()


os.register_at_fork(after_in_child=_forget)

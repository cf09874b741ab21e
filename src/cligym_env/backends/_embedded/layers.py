"""Which layers of the store nobody can ask for any more, and their removal.

A layer is kept while a name, a living owner's sandbox, or a layer that is kept leads to it, and
while the zygote that made it lives. So images without a name go with the process that made them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os

from . import tree


def is_dead(owner: str) -> bool:
    """Whether nobody holds the lock of an owner's folder; ask with the guard held."""
    try:
        with open(f"sandboxes/{owner}/lock", "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True  # killed while the folder was made, or while it was removed
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def collect(*, gone: str = "") -> None:
    """Remove what nothing leads to. The caller holds the guard of the sandboxes.

    Args:
        gone: an owner that counts as dead although it still asks.
    """
    alive = {name for name in os.listdir("sandboxes") if name not in (".lock", gone) and not is_dead(name)}
    layers = [name for name in os.listdir("layers") if not name.startswith(".")]
    kept: set[str] = set()
    waiting = [*_named(), *_in_use(alive)]
    waiting += [name for name in layers if _text(f"layers/{name}/owner") in alive]
    while waiting:
        layer = waiting.pop()
        if layer and layer not in kept:
            kept.add(layer)
            waiting.append(_text(f"layers/{layer}/parent"))
    for name in layers:
        if name not in kept:
            os.rename(f"layers/{name}", f"layers/.{name}")  # from here on nobody finds it
    for name in os.listdir("layers"):
        if name.startswith(".") and name[1:].partition("-")[0] not in alive:
            tree.remove(f"layers/{name}")


def _named() -> list[str]:
    found = []
    for file in os.listdir("images"):
        try:
            found.append(str(json.loads(_text(f"images/{file}"))["ref"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _in_use(owners: set[str]) -> list[str]:
    places = [f"sandboxes/{owner}/{name}" for owner in owners for name in os.listdir(f"sandboxes/{owner}")]
    return [_text(f"{place}/image") for place in places if not place.endswith("/lock")]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        return ""

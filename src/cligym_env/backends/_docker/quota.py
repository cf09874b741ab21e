"""A bound on what a sandbox adds to the disk: ext4 knows none for a container, so it is looked after.

One thread looks at every sandbox in use. What has grown above its limit has its processes killed; the
files stay. What does not grow is left alone, so that a command can make room again.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from cligym_env.backends._docker.container import Container
from cligym_env.backends._docker.engine import told_as
from cligym_env.errors import SandboxError

__all__ = ["Quota"]

_PERIOD_S = 0.5
_REMOTE_PERIOD_S = 5.0  # the engine itself has to add up sizes
_MAX_FILES = 200_000
_SETTLED_BYTES = 1 << 20  # files take a little more when they reach the disk, and nobody writes then


class Quota:
    """Watches over the disk of sandboxes."""

    def __init__(self) -> None:
        self._watched: weakref.WeakKeyDictionary[Container, weakref.WeakMethod[Callable[[], Sequence[int]]]]
        self._watched = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, container: Container, shells: Callable[[], Sequence[int]]) -> None:
        """Look after one more.

        Args:
            container: which.
            shells: method that gives the process ids to spare.
        """
        with self._lock:
            self._watched[container] = weakref.WeakMethod(shells)  # its sandbox may be dropped
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="cligym-quota", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()

    def _work(self) -> None:
        before: weakref.WeakKeyDictionary[Container, int] = weakref.WeakKeyDictionary()
        due: weakref.WeakKeyDictionary[Container, float] = weakref.WeakKeyDictionary()
        while not self._stop.wait(_PERIOD_S):
            with self._lock:
                watched = list(self._watched.items())
            for container, shells in watched:
                if container.closed or container.frozen:
                    with self._lock:
                        self._watched.pop(container, None)
                    continue
                if time.monotonic() < due.get(container, 0.0):
                    continue
                try:
                    used = _used_bytes(container)
                    known = before.get(container, 0)
                    grows = used > known + _SETTLED_BYTES
                    if used > container.limits.disk_bytes and grows:
                        spared = shells()
                        container.control.clear(spared() if spared else ())
                    if grows or used < known:
                        before[container] = used  # else it stays, so that a slow growth adds up
                except SandboxError:
                    continue  # it is going, or will be found gone by its next command
                if not container.upper:
                    due[container] = time.monotonic() + _REMOTE_PERIOD_S


def _used_bytes(container: Container) -> int:
    upper = container.upper
    if upper:
        return _folder_bytes(upper)
    api = container.engine.api
    with told_as():
        found = api._result(
            api._get(api._url("/containers/{0}/json", container.id), params={"size": 1}), json=True
        )
    return int(found.get("SizeRw") or 0)


def _folder_bytes(folder: str) -> int:
    n_bytes, n_files, todo = 0, 0, [folder]
    while todo and n_files < _MAX_FILES:
        try:
            with os.scandir(todo.pop()) as listing:
                for item in listing:
                    n_files += 1
                    state = item.stat(follow_symlinks=False)
                    n_bytes += 512 * state.st_blocks
                    if item.is_dir(follow_symlinks=False):
                        todo.append(item.path)
        except OSError:
            continue  # it changes while we look
    return n_bytes

"""What one process shares between its back ends: a label, and the reaper that watches over it."""

from __future__ import annotations

import os
import secrets
import threading

from cligym_env.backends._docker.reaper import Reaper

__all__ = ["Session", "current"]


class Session:
    """The label of everything that one process makes on one engine.

    Args:
        base_url: the engine.
    """

    def __init__(self, base_url: str) -> None:
        self.name = secrets.token_hex(8)
        self.pid = os.getpid()
        self._base_url = base_url
        self._lock = threading.Lock()
        self._reaper: Reaper | None = None

    def watch(self) -> None:
        """Start the reaper, once; before the first container is made."""
        with self._lock:
            if self._reaper is None:
                self._reaper = Reaper(self.name, self._base_url)


_lock = threading.Lock()
_sessions: dict[str, Session] = {}


def _forked() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held the old one
    _lock = threading.Lock()
    _sessions.clear()


os.register_at_fork(after_in_child=_forked)


def current(base_url: str | None) -> Session:
    """The session of this process with an engine."""
    key = base_url or ""
    with _lock:
        if key not in _sessions:
            _sessions[key] = Session(key)
        return _sessions[key]

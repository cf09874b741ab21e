"""Limits of memory and processes where no control group holds them: looked at four times a second.

A sandbox can overshoot in between. What exceeds is ended whole, shells excepted at first.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Collection

from . import family

PAUSE_MS = 250
_PAGE_BYTES = resource.getpagesize()


class Crowd:
    """Counts the processes of one sandbox.

    Args:
        proc: descriptor of its ``/proc``.
        limits: ``n_pids`` and ``memory_bytes``.
        held: the controllers that do it already: of ``pids``, ``memory``.
    """

    def __init__(self, proc: int, limits: dict[str, float], held: Collection[str]) -> None:
        self._proc = proc
        self._n_pids = None if "pids" in held else int(limits["n_pids"])
        self._memory_bytes = None if "memory" in held else int(limits["memory_bytes"])
        self._asked_at = 0.0
        self.watches = self._n_pids is not None or self._memory_bytes is not None

    def exceeded(self) -> bool:
        """Whether there are too many, or they take too much; looks no more often than need be."""
        now = time.monotonic()
        if not self.watches or now - self._asked_at < PAUSE_MS / 1000:
            return False
        self._asked_at = now
        pids = [name for name in os.listdir(self._proc) if name.isdigit()]
        if self._n_pids is not None and len(pids) > self._n_pids + 1:
            return True
        if self._memory_bytes is None:
            return False
        return sum(self._resident_bytes(pid) for pid in pids if pid != "1") > self._memory_bytes

    def _resident_bytes(self, pid: str) -> int:
        """Memory that is the process's own; what it shares is another's, or a file's."""
        try:
            text = family.read_small(f"{pid}/statm", self._proc).split()
            return (int(text[1]) - int(text[2])) * _PAGE_BYTES
        except (OSError, ValueError, IndexError):
            return 0


def cap_processes(n_pids: int) -> None:
    """Stop a fork bomb before the next look; counts all processes of this user, hence the margin."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    wanted = n_pids + 4096
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (allowed, allowed))

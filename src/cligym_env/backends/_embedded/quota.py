"""What a sandbox may add to the disk, watched from its PID 1.

Counting a tree costs, so it is only done when the whole file system has filled noticeably since
the last count; asking that takes microseconds. In between a sandbox can overshoot.
"""

from __future__ import annotations

import os
import resource
import stat
import time

_PAUSE_MS = 250
_NOTICED_BYTES = 32 << 20
_ENTRY_BYTES = 256  # an inode, at least
_MANY_FILES = 1 << 20
_SPARE_FILES = 64  # descriptors that are not levels
_SETTLED_BYTES = 1 << 20  # files take a little more when they reach the disk, and nobody writes then


class Quota:
    """Counts one folder, in a process of its own.

    Args:
        folder: descriptor of the folder that takes the changes.
        limit_bytes: how much may lie there.
    """

    def __init__(self, folder: int, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._free_bytes = self._free()
        self._counter: tuple[int, int] | None = None
        self._used_bytes = 0
        self._asked_at = 0.0
        self._over = False
        self._struck = False

    def _free(self) -> int:
        state = os.fstatvfs(self._folder)
        return state.f_bfree * state.f_frsize

    def exceeded(self) -> bool:
        """Whether the sandbox is over its limit and still grows; starts a count when one is due."""
        over, self._over = self._over, False
        now = time.monotonic()
        if self._counter is None and now - self._asked_at > _PAUSE_MS / 1000:
            self._asked_at = now
            free = self._free()
            near = self._used_bytes + (self._free_bytes - free) + _NOTICED_BYTES > self._limit_bytes
            if self._free_bytes - free > min(_NOTICED_BYTES, self._limit_bytes // 8) or near:
                self._free_bytes = free
                self._start()
            else:
                self._free_bytes = max(free, self._free_bytes)
        return over

    def _start(self) -> None:
        inlet, outlet = os.pipe2(os.O_CLOEXEC)
        try:
            pid = os.fork()
        except OSError:
            os.close(inlet)
            os.close(outlet)
            return
        if not pid:
            try:
                stop_at = self._used_bytes + 2 * self._limit_bytes  # that it grows has to show
                os.write(outlet, b"%d" % count(self._folder, stop_at=stop_at))
            finally:
                os._exit(0)
        os.close(outlet)
        self._counter = (pid, inlet)

    def buried(self, pid: int, status: int) -> bool:
        """Take the result when the dead process was the counter."""
        if self._counter is None or self._counter[0] != pid:
            return False
        inlet = self._counter[1]
        self._counter = None
        text = os.read(inlet, 64)
        os.close(inlet)
        if status == 0 and text:
            used, before = int(text), self._used_bytes
            grows = used > before + _SETTLED_BYTES
            if grows or used < before:
                self._used_bytes = used  # else it stays, so that a slow growth adds up
            # What makes room again is left alone.
            self._over = used > self._limit_bytes and grows and not self._struck
            # Nor does what was written between the count and the kill tell that it goes on.
            self._struck = self._over
        return True


def count(folder: int, *, stop_at: int) -> int:
    """Bytes on disk below a folder; stops when there are more than this.

    The tree changes meanwhile, so it is gone down by descriptors: a folder moved elsewhere leads
    nowhere else. What lies deeper than descriptors suffice for, which takes many thousand levels,
    counts as too much. Raises this process's own limit of open files.
    """
    _, n_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if n_files == resource.RLIM_INFINITY:
        n_files = _MANY_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))
    total = 0
    levels = [(os.dup(folder), _look(folder))]
    while levels:
        here, (n_bytes, names) = levels[-1]
        total += n_bytes
        levels[-1] = (here, (0, names))
        if total > stop_at or len(levels) > n_files - _SPARE_FILES:
            return stop_at + 1
        if not names:
            os.close(levels.pop()[0])
            continue
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            below = os.open(names.pop(), flags, dir_fd=here)
        except OSError:
            continue  # gone meanwhile
        levels.append((below, _look(below)))
    return total


def _look(folder: int) -> tuple[int, list[str]]:
    """Bytes of what lies directly in a folder, and the folders in it."""
    total, names = 0, []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    state = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                total += state.st_blocks * 512 + _ENTRY_BYTES
                if stat.S_ISDIR(state.st_mode):
                    names.append(entry.name)
    except OSError:
        pass
    return total, names

"""A shell's stream without the engine in between, where the container's memory can be reached.

Two FIFOs in the container's ``/dev/shm``, opened from this host through ``/proc/<pid>/root``: a step
then costs what a pipe costs, not four hops through the engine. Their names are gone as soon as both
ends are open. For local engines, and root, alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import select
import stat
import threading
import time

from cligym_env.backends._channel import unread_bytes
from cligym_env.backends._docker import rooted

__all__ = ["Pipes"]

_FOLDER = "/dev/shm"
_CHUNK_BYTES = 1 << 18
_SEND_S = 30.0  # for one piece to be taken; a full pipe inside takes none


class Pipes:
    """Our ends of two FIFOs; reads and writes like a ``Stream``.

    Args:
        root: the container's root, on this host.

    Raises:
        OSError: they cannot be made there.
    """

    def __init__(self, root: str) -> None:
        # In a folder of their own: the kernel may keep other users from FIFOs where all may write.
        self._name = f".cligym-{secrets.token_hex(8)}"
        self._names = ("in", "out")
        self._ends: list[int] = []
        self._using = threading.Lock()
        self._closed = False
        self._pid = os.getpid()
        with rooted.locate(root, _FOLDER) as place:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._above = os.open(place.name, flags, dir_fd=place.folder)
        self._folder = -1
        try:
            if os.fstat(self._above).st_dev == os.stat(root).st_dev:
                raise OSError(f"{_FOLDER} is no memory")  # nothing of ours goes to the sandbox's disk
            os.mkdir(self._name, 0o711, dir_fd=self._above)
            self._folder = os.open(self._name, flags, dir_fd=self._above)
            os.chmod(f"/proc/self/fd/{self._folder}", 0o711)  # noqa: S103 - others pass, and do not look
            for one in self._names:
                self._ends.append(_fifo(self._folder, one))
            self._ends.append(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        except BaseException:
            self._give_back()
            raise
        self._into, self._out, self._wake = self._ends
        self._process = -1
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, _CHUNK_BYTES)
        self._in = select.poll()
        self._in.register(self._out, select.POLLIN)
        self._in.register(self._wake, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._into, select.POLLOUT)

    @property
    def inside(self) -> tuple[str, str]:
        """Their paths in the container: what the shell reads, and what it writes."""
        return f"{_FOLDER}/{self._name}/{self._names[0]}", f"{_FOLDER}/{self._name}/{self._names[1]}"

    def connected(self, host_pid: int) -> None:
        """The shell holds the other ends: take away the names, and ours that only held them open.

        Args:
            host_pid: the shell's process id on this host.

        Raises:
            OSError: there is no such process any more.
        """
        self._process = os.pidfd_open(host_pid)
        self._ends.append(self._process)
        self._in.register(self._process, select.POLLIN)
        for end, flags in ((self._into, os.O_WRONLY), (self._out, os.O_RDONLY)):
            # Opened for both directions at first, so that neither side had to wait for the other.
            single = os.open(f"/proc/self/fd/{end}", flags | os.O_NONBLOCK | os.O_CLOEXEC)
            os.dup2(single, end, inheritable=False)
            os.close(single)
        self._unlink()

    def send(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: the other side is gone, or takes nothing more.
        """
        view = memoryview(data)
        until = 0.0
        while view:
            if self._closed:
                raise BrokenPipeError("the stream is closed")
            try:
                view = view[os.write(self._into, view) :]
            except BlockingIOError:
                until = until or time.monotonic() + _SEND_S
                if not self._writable.poll(max(0, int(1000 * (until - time.monotonic())))):
                    raise TimeoutError("the sandbox does not read what is written to it") from None

    def unread_bytes(self) -> int:
        """What was sent and not read yet."""
        return 0 if self._closed else unread_bytes(self._into)

    def recv(self, timeout_s: float) -> bytes | None:
        """Read some output; ``None`` when none came in time, ``b""`` when the shell has ended."""
        until = time.monotonic() + timeout_s
        with self._using:
            while not self._closed:
                ready = dict(self._in.poll(max(0, int(1000 * (until - time.monotonic())))))
                if not ready:
                    return None
                if self._out in ready:
                    data = self._read()
                    if data:
                        return data
                    if data == b"":  # nobody holds it: the shell has closed it, or ended
                        self._in.unregister(self._out)
                        if self._process < 0:
                            return b""
                elif self._process in ready:
                    return b""
            self._give_back()
        return b""

    def _read(self) -> bytes | None:
        try:
            return os.read(self._out, _CHUNK_BYTES)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Hang up; harmless twice, also while another thread reads."""
        if self._closed:
            return
        self._closed = True
        if os.getpid() == self._pid:  # a forked copy must not wake its parent
            os.eventfd_write(self._wake, 1)
        if self._using.acquire(blocking=False):
            try:
                self._give_back()
            finally:
                self._using.release()

    def _unlink(self) -> None:
        if self._folder >= 0:
            for name in self._names:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._folder)
            os.close(self._folder)
        if self._above >= 0:
            with contextlib.suppress(OSError):
                os.rmdir(self._name, dir_fd=self._above)
            os.close(self._above)
        self._folder = self._above = -1

    def _give_back(self) -> None:
        if os.getpid() == self._pid:
            self._unlink()
        for end in self._ends:
            os.close(end)
        self._ends = []


def _fifo(folder: int, name: str) -> int:
    os.mkfifo(name, 0o600, dir_fd=folder)
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    end = os.open(name, flags, dir_fd=folder)
    if not stat.S_ISFIFO(os.fstat(end).st_mode):  # whoever is root inside may have swapped it
        os.close(end)
        raise OSError("no FIFO where one was made")
    os.fchmod(end, 0o666)  # for the shell's user; the name is gone in a moment
    return end

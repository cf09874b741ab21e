"""The library's end of the zygote and of its disk workers."""

from __future__ import annotations

import _socket
import contextlib
import os
import secrets
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cligym_env.backends._embedded import wire
from cligym_env.errors import BackendUnavailableError, DeadlineError, SandboxLostError

__all__ = ["Worker", "Zygote", "boot_ticks", "wait_readable"]

# The modules become a package of their own, so that nothing else of this library is imported.
_BOOTSTRAP = (
    "import sys,types;p=types.ModuleType('box');p.__path__=[sys.argv[1]];sys.modules['box']=p;"
    "from box import zygote;zygote.main()"
)
_START_S = 180.0
_TICKS = os.sysconf("SC_CLK_TCK")


def wait_readable(descriptor: int, timeout_s: float) -> bool:
    """Wait until a descriptor can be read or is at its end."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_s) * 1000))


class Zygote:
    """A zygote process, and orders to it. Any thread may use it, but only the process it began in.

    Args:
        store: the store's folder.

    Raises:
        BackendUnavailableError: this machine allows no namespaces.
    """

    def __init__(self, store: Path) -> None:
        self.pid = os.getpid()
        self.owner = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._control, inner = wire.pair()
        command = [sys.executable, "-I", "-S", "-E", "-c", _BOOTSTRAP, str(Path(__file__).parent)]
        complaints = os.memfd_create("cligym", os.MFD_CLOEXEC)
        with contextlib.closing(inner):
            self._process = subprocess.Popen(
                command,
                stdin=inner.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                cwd="/",
                start_new_session=True,
            )
        settings = {"store": os.fsencode(store), "owner": self.owner, "root": os.geteuid() == 0}
        try:
            wire.send(self._control, settings)
            if not wait_readable(self._control.fileno(), _START_S):
                raise BackendUnavailableError(f"the zygote does not answer within {_START_S:.0f} s")
            answer, _ = wire.recv(self._control)
        except (EOFError, OSError) as error:
            os.lseek(complaints, 0, os.SEEK_SET)
            said = wire.read_all(complaints, 1 << 16).decode("utf-8", "replace").strip()
            why = said.rpartition("\n")[2] or error
            raise BackendUnavailableError(f"the zygote ended at once: {why}") from error
        finally:
            os.close(complaints)
            self._wait_for_launcher()
        if answer[0] != "ready":
            raise BackendUnavailableError(f"this machine gives no namespaces: {answer[1]}")
        self.single_id: bool = answer[1]
        self.controllers: Sequence[str] = answer[2]

    def _wait_for_launcher(self) -> None:
        """Reap the process that was started: it has forked the zygote into a namespace, or failed."""
        try:
            self._process.wait(_START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def order(self, order: tuple[Any, ...]) -> _socket.socket:
        """Send an order; the socket on which the answer comes, and all that follows.

        Raises:
            SandboxLostError: the zygote is gone.
        """
        if self.pid != os.getpid():
            raise SandboxLostError("the sandboxes belong to the process this one was forked from")
        ours, theirs = wire.pair()
        try:
            with self._lock:
                wire.send(self._control, order, (theirs.fileno(),))
        except OSError as error:
            ours.close()
            raise SandboxLostError(f"the process behind all sandboxes is gone: {error}") from error
        finally:
            theirs.close()
        return ours

    def alive(self) -> bool:
        """Whether it has not ended: it says nothing after its first word."""
        return not wait_readable(self._control.fileno(), 0.0)

    def end(self, name: str, timeout_s: float = 180.0) -> None:
        """End a sandbox; returns when its last process is gone, or the zygote with all of them.

        Raises:
            DeadlineError: something in it cannot be ended, say for a hanging disk.
        """
        with contextlib.suppress(SandboxLostError), contextlib.closing(self.order(("end", name))) as sock:
            if not wait_readable(sock.fileno(), timeout_s):
                raise DeadlineError(f"sandbox {name} does not end within {timeout_s:.0f} s")

    def close(self, timeout_s: float = 180.0) -> None:
        """End the zygote, every sandbox and their folders; harmless twice."""
        if self.pid != os.getpid():  # a fork of the owner must not end what is not its own
            self._control.close()
            return
        with contextlib.suppress(OSError):
            self._control.shutdown(_socket.SHUT_WR)
            if wait_readable(self._control.fileno(), timeout_s):
                self._control.recv(1)
        self._control.close()


class Worker:
    """A disk worker; calls from several threads queue.

    Args:
        zygote: forks it.
    """

    def __init__(self, zygote: Zygote) -> None:
        self._sock = zygote.order(("disk",))
        self._lock = threading.Lock()

    def call(self, *request: Any, descriptors: tuple[int, ...] = ()) -> Any:
        """Do one thing; a function of ``disk`` or ``frozen``, by name.

        Returns:
            Its result; a descriptor when it hands one out.

        Raises:
            OSError: as it was raised there.
            OverflowError: as it was raised there.
            SandboxLostError: the worker is gone.
        """
        with self._lock:
            try:
                wire.send(self._sock, request, descriptors)
                answer, received = wire.recv(self._sock)
            except (EOFError, OSError) as error:
                raise SandboxLostError("the worker that reads the disk is gone") from error
        if answer[0] == "overflow":
            raise OverflowError(answer[1])
        if answer[0] == "error":
            raise OSError(*answer[1:])
        return received[0] if received else answer[1]

    def close(self) -> None:
        """Let it go; harmless twice."""
        self._sock.close()


def boot_ticks() -> int:
    """Now, in the unit and from the origin of a process's start time in ``/proc``."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // 1_000_000_000

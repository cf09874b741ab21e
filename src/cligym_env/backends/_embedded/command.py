"""A command under way inside a sandbox, as the library sees it; also the channel of a shell."""

from __future__ import annotations

import _socket
import contextlib
import os
import secrets
import select
import threading
import time
from collections.abc import Callable
from typing import Any

from cligym_env.backends._channel import unread_bytes
from cligym_env.backends._embedded import wire
from cligym_env.backends._embedded.client import boot_ticks
from cligym_env.errors import SandboxLostError

__all__ = ["Command", "Order"]

_CHUNK_BYTES = 1 << 18
_ANSWER_S = 3.0
_SLICE_S = 0.2  # how soon a reader notices that another thread closes
_AFTER_END_BYTES = 1 << 20  # a pipe holds no more; a child that floods it must not hold us
_PIPE_SIZE = 1031  # fcntl F_SETPIPE_SZ

Order = Callable[..., _socket.socket]
"""``order(message, descriptors)`` → the socket of the answers."""


class Command:
    """One process that PID 1 started, with its output and, for a shell, its input.

    Args:
        order: reaches PID 1.
        request: ``argv``, ``environ``, ``cwd``, ``user``, ``shell``.
        with_stdin: a pipe to its standard input; else that is empty.

    Raises:
        SandboxLostError: the sandbox is gone.
    """

    def __init__(self, order: Order, request: dict[str, Any], *, with_stdin: bool) -> None:
        self._closed = True  # until there is something to close
        self._order = order
        self._code: int | None = None
        self._lost = False
        self.refused = ""
        self._since = 0
        self._pid = os.getpid()
        self._using = threading.Lock()
        self._stopping = False
        self._left_bytes = _AFTER_END_BYTES
        self._out, out_in = os.pipe2(os.O_CLOEXEC)
        self.stdin = -1
        inner = [out_in]
        if with_stdin:
            stdin_out, self.stdin = os.pipe2(os.O_CLOEXEC)
            inner.append(stdin_out)
        try:
            self._sock = order(("run", request), tuple(inner))
        except BaseException:
            os.close(self._out)
            if self.stdin >= 0:
                os.close(self.stdin)
            raise
        finally:
            for descriptor in inner:
                os.close(descriptor)
        self._closed = False
        os.set_blocking(self._out, False)
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self._poll.register(self._sock, select.POLLIN)

    # ── the channel of a shell ──────────────────────────────────────────────────────────────

    def send(self, data: bytes, *, begins: bool = True) -> None:
        """Write to standard input; see ``_bash.Channel``.

        Raises:
            OSError: the process is gone.
        """
        if begins:
            self._since = boot_ticks()
        while data:
            data = data[os.write(self.stdin, data) :]

    def unread_bytes(self) -> int:
        """What was sent and not read yet."""
        return unread_bytes(self.stdin) if self.stdin >= 0 else 0

    def recv(self, timeout_s: float) -> bytes | None:
        """Read output; ``None`` when none came in time, ``b""`` after the end of the process."""
        with self._using:
            if self._code is None and not self._stopping:  # the way nearly every answer takes
                ready = self._poll.poll(min(max(timeout_s, 0.0), _SLICE_S) * 1000)
                if len(ready) == 1 and ready[0][0] == self._out and (data := self._read_ready()):
                    return data
            until = time.monotonic() + timeout_s
            while not self._stopping:
                data = self._recv(until - time.monotonic())
                if data is not None:
                    return data
                if time.monotonic() >= until:
                    return None
        return b""

    def _recv(self, timeout_s: float) -> bytes | None:
        if self._code is None:
            for descriptor, _ in self._poll.poll(min(max(timeout_s, 0.0), _SLICE_S) * 1000):
                if descriptor != self._out:
                    self._listen()
        data = self._read_ready()
        if self._code is not None:
            self._left_bytes -= len(data or b"")
            return data if data and self._left_bytes >= 0 else b""
        if data == b"":  # all have closed it, but the process goes on
            with contextlib.suppress(KeyError):
                self._poll.unregister(self._out)
        return data or None

    def _read_ready(self) -> bytes | None:
        try:
            return os.read(self._out, _CHUNK_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _listen(self) -> list[bytes]:
        """Take one answer of PID 1."""
        try:
            words = self._sock.recv(4096).split(b" ", 1)
        except OSError:
            words = [b""]
        if words[0] == b"exit":
            self._code = int(words[1])
        elif words[0] in (b"refused", b"error"):
            self.refused = words[-1].decode("utf-8", "replace")
            self._code = 126
        elif not words[0]:
            self._lost = self._code is None
            self._code = 137 if self._code is None else self._code
            self._poll.unregister(self._sock)
        return words

    def _tell(self, what: bytes, since: int) -> None:
        """Order something about the command, and wait until it is done; output is not lost."""
        try:
            self._sock.send(b"%s %d" % (what, since))
        except OSError:
            return
        until = time.monotonic() + _ANSWER_S
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        while not self._lost and poll.poll(max(0.0, until - time.monotonic()) * 1000):
            if self._listen()[0] in (b"done", b""):
                return

    def _order_about(self, what: bytes, since: int) -> None:
        with self._using:
            if not self._closed:
                self._tell(what, since)

    def interrupt(self) -> None:
        """SIGINT to the process and what was started below it since the last ``send``."""
        self._order_about(b"interrupt", self._since)

    def kill(self) -> None:
        """SIGKILL to what was started below it since the last ``send``, SIGINT to the process."""
        self._order_about(b"kill", self._since)

    def exit_code(self) -> int:
        """Status of the ended process.

        Raises:
            SandboxLostError: it did not end, the sandbox did.
        """
        if self._lost or self._code is None:
            raise SandboxLostError("the sandbox ended while a command ran")
        return self._code

    def stage(self, data: bytes) -> str:
        """Put a file where the sandbox keeps it in memory; without room, name one that is not there."""
        path = f"/dev/.cligym/{secrets.token_hex(8)}"
        content = wire.memory_file(data)
        try:
            with contextlib.closing(self._order(("write", path, 0o644), (content,))) as sock:
                if not sock.recv(4096):
                    raise SandboxLostError("the sandbox ended before a long command began")
        finally:
            os.close(content)
        return path

    def unstage(self, path: str) -> None:
        """Remove it."""
        with contextlib.suppress(SandboxLostError):
            self._order(("unstage", path), ()).close()

    @property
    def running(self) -> bool:
        """Whether its end was not heard of."""
        return self._code is None

    def close_stdin(self) -> None:
        """Give up this end of standard input."""
        descriptor, self.stdin = self.stdin, -1
        os.close(descriptor)

    def end(self) -> None:
        """Kill the process and all that descends from it."""
        self._order_about(b"end", 0)

    def __del__(self) -> None:
        if not self._closed:
            self.close()

    def close(self) -> None:
        """End the process alone, if it goes on, and give everything back; harmless twice."""
        self._stopping = True
        with self._using:
            if self._closed:
                return
            if self._code is None and self._pid == os.getpid():  # a fork does not end its parent's
                self._tell(b"end", 1 << 62)
            self._closed = True
            self._sock.close()
            os.close(self._out)
            if self.stdin >= 0:
                os.close(self.stdin)

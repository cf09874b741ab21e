"""One hijacked connection to the engine: bytes in, multiplexed frames out."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from typing import Any

__all__ = ["Stream", "attach", "start_exec"]

_HEADER_BYTES = 8
_CHUNK_BYTES = 1 << 18
_SEND_S = 30.0  # for one piece to be taken; a full pipe inside takes none


class Stream:
    """What a container or an exec reads and prints; the printed streams come as one.

    Frames: 8 bytes of header, of which the last 4 are the length (Engine API, "attach").
    """

    def __init__(self, api: Any, response: Any) -> None:
        api._raise_for_status(response)
        reader = response.raw._fp.fp
        # The reader may hold bytes that came together with the headers; the raw socket has not.
        raw = reader.raw
        self._socket: socket.socket = getattr(raw, "_sock", raw)
        self._socket.setblocking(False)
        self._pending = bytearray(reader.peek() or b"")
        self._response = response  # closes the socket when it is collected
        self._in = select.poll()
        self._in.register(self._socket, select.POLLIN)
        self._out = select.poll()
        self._out.register(self._socket, select.POLLOUT)
        self._ended = False
        self._closed = False
        self._using = threading.Lock()
        self._pid = os.getpid()
        self._left = 0  # of the frame at hand

    def send(self, data: bytes | memoryview, timeout_s: float = _SEND_S) -> None:
        """Write all of it.

        Raises:
            OSError: the other side is gone, or takes nothing more.
        """
        view = memoryview(data)
        until = time.monotonic() + timeout_s
        while view:
            n_sent = self.send_some(view)
            view = view[n_sent:]
            if not n_sent and not self._out.poll(max(0, int(1000 * (until - time.monotonic())))):
                raise TimeoutError("the sandbox does not read what is written to it")

    def send_some(self, view: memoryview) -> int:
        """Write what can be written at once; the number of bytes."""
        if self._closed:
            raise BrokenPipeError("the stream is closed")
        try:
            return self._socket.send(view[:_CHUNK_BYTES])
        except (BlockingIOError, InterruptedError):
            return 0

    def end_input(self) -> None:
        """Let the other side read an end of file."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def wait_writable(self, timeout_s: float) -> None:
        """Wait until something can be written or read."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLOUT)
        poll.poll(max(0, int(1000 * timeout_s)))

    def recv(self, timeout_s: float) -> bytes | None:
        """Read some output; ``None`` when none came in time, ``b""`` at its end."""
        until = time.monotonic() + timeout_s
        with self._using:
            while not self._closed:
                payload = self._demultiplex()
                if payload:
                    return payload
                if self._ended:
                    return b""
                wait_ms = max(0, int(1000 * (until - time.monotonic())))
                if not self._in.poll(wait_ms):
                    return None
                self._fill()
            self._socket.close()
        return b""

    def _fill(self) -> None:
        try:
            data = self._socket.recv(_CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        self._ended = not data
        self._pending += data

    def _demultiplex(self) -> bytes:
        """Take all payload that has come."""
        pending = self._pending
        payload = bytearray()
        at = 0
        while at < len(pending):
            if not self._left:
                if len(pending) - at < _HEADER_BYTES:
                    break
                self._left = int.from_bytes(pending[at + 4 : at + 8], "big")
                at += _HEADER_BYTES
                continue
            piece = pending[at : at + self._left]
            payload += piece
            at += len(piece)
            self._left -= len(piece)
        del pending[:at]
        return bytes(payload)

    def is_open(self) -> bool:
        """Whether neither side has hung up, as far as can be told without waiting."""
        return not self._closed and not self._ended and not self._in_hung_up()

    def _in_hung_up(self) -> bool:
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in self._in.poll(0))

    def close(self) -> None:
        """Hang up; harmless twice, also while another thread reads."""
        if self._closed:
            return
        self._closed = True
        if os.getpid() == self._pid:  # a forked copy must not hang up for its parent
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes a reader; the descriptor stays its own
        if self._using.acquire(blocking=False):
            try:
                self._socket.close()
            finally:
                self._using.release()


_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


def attach(api: Any, container: str) -> Stream:
    """Attach to what the container's first process reads and prints."""
    params = {"stdin": 1, "stdout": 1, "stderr": 0, "stream": 1}
    url = api._url("/containers/{0}/attach", container)
    return Stream(
        api, api.post(url, None, params=params, stream=True, headers=_UPGRADE, timeout=api.timeout)
    )


def start_exec(api: Any, exec_id: str) -> Stream:
    """Start a prepared exec and attach to it."""
    url = api._url("/exec/{0}/start", exec_id)
    data = {"Tty": False, "Detach": False}
    return Stream(api, api._post_json(url, data=data, headers=_UPGRADE, stream=True))

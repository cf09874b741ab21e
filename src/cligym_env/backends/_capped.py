"""Output with a limit: what every back end keeps of what a command prints."""

from __future__ import annotations

__all__ = ["CappedOutput"]


class CappedOutput:
    """Keeps the first half and the last half of a stream, and counts what lay between.

    Args:
        limit_bytes: how much is kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._n_head = (limit_bytes + 1) // 2
        self._n_tail = limit_bytes - self._n_head
        self._head = b""
        self._tail = bytearray()
        self._n_cut = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece of the stream."""
        room = self._n_head - len(self._head)
        if room > 0:
            self._head += bytes(data[:room])
            data = data[room:]
        if not data:
            return
        self._tail += data
        if len(self._tail) > 2 * self._n_tail + 65_536:  # rarely, so that a flood stays cheap
            self._trim()

    def _trim(self) -> None:
        excess = len(self._tail) - self._n_tail
        if excess > 0:
            del self._tail[:excess]
            self._n_cut += excess

    def result(self) -> tuple[bytes, int]:
        """Give what was kept, and how many bytes were not."""
        if not self._tail:
            return self._head, 0
        self._trim()
        return self._head + bytes(self._tail), self._n_cut

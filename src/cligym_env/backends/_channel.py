"""What the shell protocol needs of a back end."""

from __future__ import annotations

import fcntl
import struct
import termios
from typing import Protocol

__all__ = ["Channel", "unread_bytes"]


def unread_bytes(pipe: int) -> int:
    """How many bytes stand in a pipe, by either end of it; 0 when it is gone.

    Args:
        pipe: its descriptor.
    """
    try:
        (n_bytes,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))
    except OSError:
        return 0
    return int(n_bytes)


class Channel(Protocol):
    """One running bash, as a back end reaches it. Every call returns soon; none blocks for good.

    A back end's ``open_channel(cwd)`` starts ``_bash.ARGV`` in that directory, or in ``/`` when it is
    gone, and raises ``ShellLostError`` or ``SandboxLostError``. ``close`` may come from another
    thread while ``recv`` waits, which then gives ``b""``.
    """

    def send(self, data: bytes, *, begins: bool = True) -> None:
        """Write to the shell's standard input.

        Args:
            data: whole lines.
            begins: a command begins; what already runs belongs to earlier ones.

        Raises:
            OSError: the shell is gone.
        """
        ...

    def unread_bytes(self) -> int:
        """How much of what was sent the shell has not read yet; 0 where nobody can tell."""
        ...

    def recv(self, timeout_s: float) -> bytes | None:
        """Read what the shell and its children printed.

        Returns:
            Some bytes; ``None`` when none came in time; ``b""`` when the shell itself has ended
            and its output was read, even if a child of it holds the stream open.
        """
        ...

    def interrupt(self) -> None:
        """SIGINT to the shell and all that runs below it, none of them sooner than the rest."""
        ...

    def kill(self) -> None:
        """SIGKILL to what was started below the shell since the last ``send``, SIGINT to the shell.

        All together again; what stands still is continued. Returns when the killed are gone.
        """
        ...

    def exit_code(self) -> int:
        """Status of the ended shell, 128+n after signal n; asked after ``recv`` gave ``b""``."""
        ...

    def stage(self, data: bytes) -> str:
        """Put a file where the shell's user can read it, outside the sandbox's disk if possible."""
        ...

    def unstage(self, path: str) -> None:
        """Remove a staged file."""
        ...

    def close(self) -> None:
        """Kill the shell and what it runs in the foreground, give everything back; harmless twice."""
        ...

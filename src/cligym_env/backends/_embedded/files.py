"""What PID 1 does with files, for the library: inside the sandbox's root, so no link leads out."""

from __future__ import annotations

import _socket
import contextlib
import errno
import os
import stat
from typing import Any

from . import tree, wire


def read(path: str, reply: _socket.socket) -> None:
    """Hand out a descriptor of a regular file; its reader counts the bytes.

    Raises:
        OSError: there is none, or it is not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EISDIR, "not a regular file")
        wire.send_raw(reply, b"ok", (descriptor,))
    finally:
        os.close(descriptor)


def write(path: str, mode: int, content: int) -> None:
    """Write a file from a descriptor, making its folders; an existing one keeps its owner.

    Raises:
        OSError: something that is no regular file stands there, or the disk is full.
    """
    folder = os.path.dirname(path)
    os.makedirs(folder, 0o755, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EISDIR, "not a regular file")
        os.ftruncate(descriptor, 0)
        _copy(content, 0, os.fstat(content).st_size, descriptor)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def put(members: list[tree.Member], removed: list[str], content: int, *, lenient: bool) -> None:
    """Remove paths, then lay out members whose contents stand in one file.

    Raises:
        OSError: the disk is full, or a hard link's target is missing.
    """
    for path in removed:
        tree.remove(os.path.normpath("/" + path.lstrip("/")))

    def copier(member: tree.Member) -> Any:
        return lambda into: _copy(content, member[7], member[8], into)

    tree.lay_out(((member, copier(member)) for member in members), lenient_owners=lenient)


def unlink(path: str) -> None:
    """Remove one file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _copy(source: int, offset: int, size: int, target: int) -> None:
    while size > 0:
        n_sent = os.sendfile(target, source, offset, size)
        if not n_sent:
            raise OSError(errno.EIO, "the archive is shorter than it says")
        offset += n_sent
        size -= n_sent

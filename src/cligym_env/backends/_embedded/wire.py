"""Messages with descriptors over a local socket, between processes that run this library's code.

``marshal`` is the encoding because every interpreter has it built in. It is unsafe on hostile
bytes, so what comes *out* of a sandbox never takes this form: see ``init``.
"""

from __future__ import annotations

import _socket
import array
import errno
import marshal
import os
from typing import Any

_INLINE_BYTES = 60_000  # a packet has to fit the socket's buffer; what is larger goes in a memory file
_N_DESCRIPTORS = 8


def pair() -> tuple[_socket.socket, _socket.socket]:
    """Two connected ends that keep messages apart."""
    one, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    return one, other


def memory_file(data: bytes | bytearray | memoryview) -> int:
    """A descriptor of an anonymous file with this content, at its beginning."""
    descriptor = os.memfd_create("cligym", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_all(descriptor: int, limit: int = -1) -> bytes:
    """What a descriptor gives up to its end, or a little more than ``limit`` bytes."""
    parts = []
    total = 0
    while limit < 0 or total <= limit:
        part = os.read(descriptor, 1 << 20)
        if not part:
            break
        parts.append(part)
        total += len(part)
    return b"".join(parts)


def read_capped(descriptor: int, path: str, max_bytes: int) -> bytes:
    """Read and close a descriptor.

    Raises:
        FileNotFoundError: the kernel gives no content.
        OverflowError: there is more than ``max_bytes``.
    """
    try:
        data = read_all(descriptor, max_bytes)
    except OSError as error:
        raise FileNotFoundError(error.errno or errno.EIO, error.strerror, path) from error
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise OverflowError(f"{path} holds more than {max_bytes} bytes")
    return data


def send_raw(sock: _socket.socket, data: bytes, descriptors: tuple[int, ...] = ()) -> None:
    """Send bytes as they are."""
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", descriptors))]
    sock.sendmsg([data], rights if descriptors else [], _socket.MSG_NOSIGNAL)


def recv_raw(sock: _socket.socket, size: int = 65_536) -> tuple[bytes, list[int]]:
    """Receive bytes as they are; empty at the other end's end."""
    data, ancillary, _, _ = sock.recvmsg(
        size, _socket.CMSG_SPACE(4 * _N_DESCRIPTORS), _socket.MSG_CMSG_CLOEXEC
    )
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % 4])
    return data, list(descriptors)


def send(sock: _socket.socket, message: Any, descriptors: tuple[int, ...] = ()) -> None:
    """Send a message of any size."""
    data = marshal.dumps(message)
    if len(data) <= _INLINE_BYTES:
        send_raw(sock, b"i" + data, descriptors)
        return
    extra = memory_file(data)
    try:
        send_raw(sock, b"m", (extra, *descriptors))
    finally:
        os.close(extra)


def recv(sock: _socket.socket) -> tuple[Any, list[int]]:
    """Receive a message.

    Raises:
        EOFError: the other end is closed.
    """
    data, descriptors = recv_raw(sock)
    if not data:
        raise EOFError
    if data[:1] == b"m":
        extra = descriptors.pop(0)
        try:
            return marshal.loads(read_all(extra)), descriptors  # noqa: S302 - our own code wrote it
        finally:
            os.close(extra)
    return marshal.loads(data[1:]), descriptors  # noqa: S302 - our own code wrote it

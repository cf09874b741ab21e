"""A filter for the system calls a sandbox has no use for and the kernel has had holes in.

It denies what docker's default profile denies and capabilities do not already: key rings, bpf,
performance events, new user namespaces, and all calls of another architecture.
"""

from __future__ import annotations

import errno
import os
import struct

_CALLS = {
    # keyctl, add_key, request_key, bpf, perf_event_open, userfaultfd, setns, open_by_handle_at,
    # process_vm_writev is ptrace's business; io_uring_setup passes by every other filter
    "x86_64": (0xC000003E, 56, 272, (250, 248, 249, 321, 298, 323, 308, 304)),
    "aarch64": (0xC00000B7, 220, 97, (219, 217, 218, 280, 241, 282, 268, 265)),
}
_IO_URING_SETUP = 425
_CLONE3 = 435
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW*: user, pid, net, ipc, uts, cgroup, mount

_LOAD, _EQUAL, _SET, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000


def program() -> bytes | None:
    """Packed ``sock_filter`` records; ``None`` on an architecture whose numbers are not known."""
    numbers = _CALLS.get(os.uname().machine)
    if numbers is None:
        return None
    architecture, clone, unshare, denied = numbers
    deny, allow = _ERRNO | errno.EPERM, _ALLOW
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, deny),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 0, 1, 0x40000000),  # the x32 calls of x86_64
        (_RETURN, 0, 0, deny),
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),  # its flags lie in memory; libc falls back to clone
    ]
    for number in (*denied, _IO_URING_SETUP):
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, deny)]
    code += [
        (_EQUAL, 2, 0, clone),
        (_EQUAL, 1, 0, unshare),
        (_RETURN, 0, 0, allow),
        (_LOAD, 0, 0, 16),  # low half of the first argument: the flags of both calls
        (_SET, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, deny),
        (_RETURN, 0, 0, allow),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)

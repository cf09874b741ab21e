"""The system calls Python 3.11 has no function for."""

from __future__ import annotations

import ctypes
import os
import struct

# Not releasing the interpreter lock: the callers have one thread, and some of them fork.
_libc = ctypes.PyDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def _check(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount; the man page of mount has the flags."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        os.fsencode(options) or None,
    )
    _check(result, f"mount {kind or source} on {target}")


def umount(target: str, flags: int = MNT_DETACH) -> None:
    """Unmount, at once if nothing else is said."""
    _check(_libc.umount2(os.fsencode(target), flags), f"umount {target}")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, flags: int) -> None:
    """Enter a namespace."""
    _check(_libc.setns(descriptor, flags), "setns")


def pivot_root_here() -> None:
    """Make the working directory the root, and let go of the old one."""
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(f"no system call numbers for {os.uname().machine}")
    # Both on one place: the old root then lies over the new one and is detached from there.
    _check(_libc.syscall(number, b".", b"."), "pivot_root")
    umount(".")
    os.chdir("/")


def sethostname(name: str) -> None:
    """Set the host name."""
    _check(_libc.sethostname(name.encode(), len(name)), "sethostname")


def _prctl(option: int, first: int = 0, second: int = 0) -> None:
    arguments = (ctypes.c_ulong(first), ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0))
    _check(_libc.prctl(option, *arguments), f"prctl {option}")


def die_with_parent(number: int) -> None:
    """Get this signal when the thread that forked this process ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def hide_memory() -> None:
    """Let no process of the sandbox look into this one, root neither: it lacks the capability."""
    _prctl(_PR_SET_DUMPABLE, 0)


def no_new_privileges() -> None:
    """Programs with set-user-id or file capabilities give none from here on."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def bound_capabilities(kept: tuple[int, ...]) -> None:
    """Let no program this process or its children execute ever gain another capability."""
    for number in range(64):
        if number not in kept:
            try:
                _prctl(_PR_CAPBSET_DROP, number)
            except OSError:
                break  # the kernel knows no more
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def keep_capabilities(kept: tuple[int, ...]) -> None:
    """Drop every other capability from this process: permitted, effective and inheritable."""
    bits = sum(1 << number for number in kept)
    low, high = bits & 0xFFFFFFFF, bits >> 32
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    sets = struct.pack("6I", low, low, 0, high, high, 0)
    _check(_libc.capset(header, sets), "capset")


def spare_from_oom(score: int) -> None:
    """Say how gladly the kernel ends this process when memory runs out; nothing where it may not."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"%d" % score)
        finally:
            os.close(descriptor)
    except OSError:
        return


def install_filter(program: bytes) -> None:
    """Put a seccomp filter, packed ``sock_filter`` records, over this process and its children."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    packed = ctypes.create_string_buffer(header, len(header))
    _prctl(22, 2, ctypes.addressof(packed))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER

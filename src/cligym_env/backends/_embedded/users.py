"""Who a command runs as, by the sandbox's own ``/etc/passwd`` and ``/etc/group``."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

_LIMIT_BYTES = 1 << 20


class User(NamedTuple):
    """A user as the kernel and the environment need it."""

    uid: int
    gid: int
    groups: list[int]
    home: str


def lines(path: str) -> list[list[str]]:
    """The fields of a colon-separated file; nothing when it is not a plain, reasonable one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return []
            text = os.read(descriptor, _LIMIT_BYTES).decode("utf-8", "surrogateescape")
        finally:
            os.close(descriptor)
    except OSError:
        return []
    return [line.split(":") for line in text.splitlines()]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) < 1 << 32 else None


def find(name: str) -> User | None:
    """Look a user up.

    Args:
        name: a name, or ``uid:gid``. ``root`` is user 0 whatever the files say.
    """
    uid, colon, gid = name.partition(":")
    if colon:
        numbers = _number(uid), _number(gid)
        if numbers[0] is None or numbers[1] is None:
            return None
        return User(numbers[0], numbers[1], [numbers[1]], _home_of(numbers[0]))
    if name == "root":
        return User(0, 0, [0], "/root")
    for fields in lines("/etc/passwd"):
        if fields[0] == name and len(fields) >= 6:
            numbers = _number(fields[2]), _number(fields[3])
            if numbers[0] is not None and numbers[1] is not None:
                return User(numbers[0], numbers[1], _groups(name, numbers[1]), fields[5] or "/")
    return None


def _home_of(uid: int) -> str:
    for fields in lines("/etc/passwd"):
        if len(fields) >= 6 and fields[2] == str(uid):
            return fields[5] or "/"
    return "/root" if uid == 0 else "/"


def _groups(name: str, gid: int) -> list[int]:
    found = [gid]
    for fields in lines("/etc/group"):
        number = _number(fields[2]) if len(fields) >= 4 else None
        if number is not None and number not in found and name in fields[3].split(","):
            found.append(number)
    return found[:1000]

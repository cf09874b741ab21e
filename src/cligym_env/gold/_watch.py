"""Runs INSIDE a throw-away sandbox, as root: notes every file that anybody opens, through inotify.

The kernel tells, so programs of every language are seen, and nothing has to be traced. Reads the
folders to watch from its arguments; writes what was opened as JSON when the stop file appears.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import struct
import sys
import time

__all__ = ["main"]

IN_CREATE = 0x100
IN_OPEN = 0x20
IN_ISDIR = 0x40000000
IN_Q_OVERFLOW = 0x4000
_ONLYDIR_DONT_FOLLOW = 0x03000000
_DRAIN_S = 0.5
"""Whoever waits for the end opens files too, so silence may never come."""
_LEFT_OUT = ("/.git/", "/__pycache__/")


def main(out: str, roots: list[str]) -> None:
    """Watch until ``<out>.stop`` exists.

    Args:
        out: ``<out>.ready`` appears when everything is watched, ``out`` at the end.
        roots: folders, watched with all below them.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    folders: dict[int, str] = {}
    for root in roots:
        for folder, _, _ in os.walk(root):
            if not any(part in folder + "/" for part in _LEFT_OUT):
                mask = IN_OPEN | IN_CREATE | _ONLYDIR_DONT_FOLLOW
                place = libc.inotify_add_watch(descriptor, os.fsencode(folder), mask)
                if place >= 0:
                    folders[place] = folder
    opened: set[str] = set()
    created: set[str] = set()
    lost = False
    open(out + ".ready", "w").close()
    stopped_s = None
    while stopped_s is None or time.monotonic() < stopped_s + _DRAIN_S:
        ready, _, _ = select.select([descriptor], [], [], 0.1)
        if ready:
            lost |= _take(os.read(descriptor, 1 << 20), folders, opened, created)
        elif stopped_s is not None:
            break
        if stopped_s is None and os.path.exists(out + ".stop"):
            stopped_s = time.monotonic()
    os.close(descriptor)
    kinds = {path: _kind(path) for path in opened}
    content = {
        "programs": sorted(path for path in kinds if kinds[path] == "program"),
        "libraries": sorted(path for path in kinds if kinds[path] == "library"),
        "files": sorted(path for path in kinds if kinds[path] == "file"),
        "created": sorted(created),
        "lost": lost,
    }
    with open(out + ".part", "w") as stream:
        json.dump(content, stream)
    os.rename(out + ".part", out)


def _take(data: bytes, folders: dict[int, str], opened: set[str], created: set[str]) -> bool:
    lost = False
    at = 0
    while at < len(data):
        place, mask, _, length = struct.unpack_from("iIII", data, at)
        name = os.fsdecode(data[at + 16 : at + 16 + length].rstrip(b"\0"))
        at += 16 + length
        if mask & IN_Q_OVERFLOW:
            lost = True
        elif place in folders and name:
            path = f"{folders[place]}/{name}"
            if mask & IN_CREATE:
                created.add(path)
            elif not mask & IN_ISDIR:
                opened.add(path)
    return lost


def _kind(path: str) -> str:
    """``program``, ``library``, ``file``, or nothing for what is gone or no regular file."""
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, "rb") as stream:
            magic = stream.read(4)
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    if magic == b"\x7fELF" and (".so." in path or path.endswith(".so")):
        return "library"
    if mode & 0o111 and (magic == b"\x7fELF" or magic[:2] == b"#!"):
        return "program"
    return "file"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

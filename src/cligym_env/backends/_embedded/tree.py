"""Trees of files: removing one, and laying out the members of an archive.

For processes whose root is the tree's root (a sandbox's PID 1, a worker after chroot), so that no
link leads out of it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from typing import Any

Member = tuple[str, str, int, int, int, float, str, int, int]
"""Path, kind (file dir link hard fifo), mode, uid, gid, mtime, target, offset of content, size."""


def remove(path: str, dir_fd: int | None = None) -> None:
    """Remove a path and all below it, of any depth and mode; nothing to do where there is none."""
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode if dir_fd is None else _lstat(path, dir_fd).st_mode):
            os.unlink(path, dir_fd=dir_fd)
            return
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fchdir(top)
        _empty_here()
    finally:
        os.close(top)
        os.fchdir(before)
        os.close(before)
    os.rmdir(path, dir_fd=dir_fd)


def _lstat(path: str, dir_fd: int) -> os.stat_result:
    return os.stat(path, dir_fd=dir_fd, follow_symlinks=False)


def _empty_here() -> None:
    """Empty the working directory, going down by names: no path is too long, no descriptor stays open."""
    levels = [_folders_left_here()]
    names: list[str] = []
    while True:
        if levels[-1]:
            name = levels[-1].pop()
            _enter(name)
            names.append(name)
            levels.append(_folders_left_here())
            continue
        levels.pop()
        if not names:
            return
        os.chdir("..")
        os.rmdir(names.pop())


def _enter(name: str) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchdir(descriptor)
    finally:
        os.close(descriptor)


def _folders_left_here() -> list[str]:
    folders = []
    with os.scandir(".") as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry.name)
    return folders


def lay_out(
    members: Iterable[tuple[Member, Callable[[int], Any]]], *, lenient_owners: bool = False
) -> None:
    """Put members in their places; each replaces what stands there.

    Args:
        members: each with a function that writes its content to a descriptor.
        lenient_owners: go on where an owner cannot be given (a user namespace with one id).
    """
    folder_times: dict[str, float] = {}
    made: set[str] = {"/"}
    for member, copy in members:
        path = os.path.normpath("/" + member[0].lstrip("/"))
        if path != "/":
            _make_parents(os.path.dirname(path), made)
        _create(path, member, copy, made)
        if member[1] == "hard":
            continue
        _dress(path, member, lenient_owners)
        if member[1] == "dir":
            folder_times[path] = member[5]
    for path, mtime in sorted(folder_times.items(), reverse=True):
        os.utime(path, (mtime, mtime), follow_symlinks=False)


def _make_parents(folder: str, made: set[str]) -> None:
    if folder in made:
        return
    _make_parents(os.path.dirname(folder), made)
    if not os.path.isdir(folder):  # a link to a folder is one: /bin is a link
        remove(folder)
        os.mkdir(folder, 0o755)
    made.add(folder)


def _create(path: str, member: Member, copy: Callable[[int], Any], made: set[str]) -> None:
    kind, target = member[1], member[6]
    if kind == "dir":
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                _clear(path, made)
                os.mkdir(path, 0o700)
        return
    if os.path.lexists(path):
        if kind == "hard" and _same(path, target):
            return
        _clear(path, made)
    if kind == "link":
        os.symlink(target, path)
    elif kind == "hard":
        os.link(os.path.normpath("/" + target.lstrip("/")), path, follow_symlinks=False)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            copy(descriptor)
        finally:
            os.close(descriptor)


def _clear(path: str, made: set[str]) -> None:
    remove(path)
    made.difference_update([known for known in made if known == path or known.startswith(path + "/")])


def _same(path: str, target: str) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.lstat(os.path.normpath("/" + target.lstrip("/"))))
    except FileNotFoundError:
        return False


def _dress(path: str, member: Member, lenient_owners: bool) -> None:
    _, kind, mode, uid, gid, mtime, *_ = member
    try:
        os.chown(path, uid, gid, follow_symlinks=False)
    except OSError as error:
        if not lenient_owners or error.errno not in (errno.EINVAL, errno.EPERM):
            raise
    if kind != "link":
        os.chmod(path, mode & 0o7777)
    if kind != "dir":
        os.utime(path, (mtime, mtime), follow_symlinks=False)

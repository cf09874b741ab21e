"""The disk of a sandbox in which nothing runs any more, read in a worker: see ``core.Snapshot``."""

from __future__ import annotations

import os
import stat
from typing import Any

from . import syscalls as sc

Row = tuple[str, int, int, int, int, str, str, bool]
"""The fields of ``core.Entry``, in order."""

_ABSENT: Row = ("absent", 0, 0, 0, 0, "", "", False)
_N_NAME_BYTES = 64 << 20  # all paths of one answer together: deep trees have long ones
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Frozen:
    """Reads the changes from the folder that took them, all else through a read-only overlay.

    Args:
        upper: that folder.
        lower: layer folders of the image, the top one first.
        mount_point: an empty folder.
        root: whether this is the host's root.
    """

    def __init__(self, upper: str, lower: list[str], mount_point: str, *, root: bool) -> None:
        self._attribute = ("trusted" if root else "user") + ".overlay.opaque"
        self._upper = os.open(upper, _FOLDER)
        sc.unshare(sc.CLONE_NEWNS)  # the mounts are this worker's, and go with it
        sc.mount("", "/", "", sc.MS_REC | sc.MS_PRIVATE)
        self._merged = self._mount([upper, *lower], mount_point, root)
        self._base = self._mount(lower, mount_point, root)

    def _mount(self, layers: list[str], mount_point: str, root: bool) -> int:
        if len(layers) == 1:
            return os.open(layers[0], _FOLDER)
        options = f"lowerdir={':'.join(layers)}" + ("" if root else ",userxattr")
        sc.mount("overlay", mount_point, "overlay", sc.MS_RDONLY | sc.MS_NODEV | sc.MS_NOSUID, options)
        descriptor = os.open(mount_point, _FOLDER)
        sc.umount(mount_point)
        return descriptor

    # ── what changed ────────────────────────────────────────────────────────────────────────

    def changes(self, max_paths: int) -> list[tuple[str, Row]]:
        """Changed paths with their states, sorted.

        Raises:
            OverflowError: too many, or too long altogether.
        """
        found: list[tuple[str, Row]] = []
        n_bytes = 0
        for path, row in self._walk():
            found.append((path, row))
            n_bytes += len(path)
            if len(found) > max_paths or n_bytes > _N_NAME_BYTES:
                raise OverflowError(f"more than {max_paths} changed paths, or with very long names")
        found.sort()
        return found

    def _walk(self) -> Any:
        """Go down by names in both trees, so that no path is too long and few descriptors are open."""
        os.fchdir(self._upper)
        parts: list[str] = []
        bases: list[int | None] = [os.dup(self._base)]
        levels = [self._folders_here(parts, bases[-1])]
        try:
            while levels:
                row = next(levels[-1], None)
                if row is None:
                    levels.pop()
                    _close(bases.pop())
                    if parts:
                        parts.pop()
                        os.chdir("..")
                    continue
                name, state, enter = row
                if state is not None:
                    yield "/" + "/".join([*parts, name]), state
                if enter:
                    hidden = state is not None and state[7]
                    bases.append(None if hidden else _folder_in(bases[-1], name))
                    _enter(name)
                    parts.append(name)
                    levels.append(self._folders_here(parts, bases[-1]))
        finally:
            for descriptor in bases:
                _close(descriptor)

    def _folders_here(self, parts: list[str], base: int | None) -> Any:
        rows = []
        for name in os.listdir("."):
            state = os.lstat(name)
            row = self._row(name, state)
            is_folder = stat.S_ISDIR(state.st_mode)
            touched_only = is_folder and not row[7] and _same_folder(base, name, state)
            rows.append((name, None if touched_only else row, is_folder))
        return iter(rows)

    def _row(self, name: str, state: os.stat_result) -> Row:
        """The state of a name in the working directory, in the upper folder."""
        if stat.S_ISCHR(state.st_mode) and state.st_rdev == 0:
            return _ABSENT
        row = _row(state, os.readlink(name) if stat.S_ISLNK(state.st_mode) else "")
        if row[0] != "dir":
            return row
        try:
            opaque = os.getxattr(name, self._attribute, follow_symlinks=False) == b"y"
        except OSError:
            opaque = False
        return (*row[:7], opaque)

    # ── one path ────────────────────────────────────────────────────────────────────────────

    def entry(self, path: str) -> Row:
        """One path's state, with its digest."""
        import hashlib  # noqa: PLC0415 - not in the zygote's memory

        descriptor = self._open(path)
        if descriptor is None:
            return _ABSENT
        try:
            state = os.fstat(descriptor)
            if stat.S_ISLNK(state.st_mode):
                return _row(state, os.readlink("", dir_fd=descriptor))
            row = _row(state, "")
            if row[0] != "file":
                return row
            content = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
            with os.fdopen(content, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return (*row[:6], digest, False)
        finally:
            os.close(descriptor)

    def file(self, path: str) -> int:
        """A descriptor of a regular file.

        Raises:
            FileNotFoundError: it is none.
        """
        descriptor = self._open(path)
        if descriptor is not None:
            try:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                os.close(descriptor)
        raise FileNotFoundError(2, "no such regular file", path)

    def _open(self, path: str) -> int | None:
        """Go to a path without following any link; a descriptor that only names it."""
        here = os.dup(self._merged)
        for part in [part for part in path.split("/") if part not in ("", ".")]:
            flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                if part == "..":
                    return None
                below = os.open(part, flags, dir_fd=here)
            except OSError:
                return None
            finally:
                os.close(here)
            here = below
        return here


def _row(state: os.stat_result, target: str) -> Row:
    mode = stat.S_IMODE(state.st_mode)
    if stat.S_ISREG(state.st_mode):
        return ("file", mode, state.st_uid, state.st_gid, state.st_size, "", "", False)
    if stat.S_ISDIR(state.st_mode):
        return ("dir", mode, state.st_uid, state.st_gid, 0, "", "", False)
    if stat.S_ISLNK(state.st_mode):
        return ("link", 0, state.st_uid, state.st_gid, 0, target, "", False)
    return ("other", mode, state.st_uid, state.st_gid, 0, "", "", False)


def _same_folder(base: int | None, name: str, state: os.stat_result) -> bool:
    if base is None:
        return False
    try:
        before = os.stat(name, dir_fd=base, follow_symlinks=False)
    except OSError:
        return False
    return (before.st_mode, before.st_uid, before.st_gid) == (state.st_mode, state.st_uid, state.st_gid)


def _folder_in(base: int | None, name: str) -> int | None:
    if base is None:
        return None
    try:
        return os.open(name, _FOLDER, dir_fd=base)
    except OSError:
        return None


def _enter(name: str) -> None:
    descriptor = os.open(name, _FOLDER)
    try:
        os.fchdir(descriptor)
    finally:
        os.close(descriptor)


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)

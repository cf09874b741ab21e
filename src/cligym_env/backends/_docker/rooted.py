"""Paths below a root, as a process with that root would resolve them, and never out of it.

Every step opens one directory by name without following links; links are resolved by hand. So a
sandbox that swaps a folder for a link while we walk gains nothing.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Place", "kind_of", "locate", "read", "remove"]

_MAX_LINKS = 40  # the kernel's own bound
_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC  # may be the link /proc/<pid>/root
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Place:
    """An open directory and a name in it.

    Attributes:
        folder: descriptor of the directory.
        name: the last part; empty for the root itself.
    """

    def __init__(self, folder: int, name: str) -> None:
        self.folder = folder
        self.name = name

    def state(self) -> os.stat_result:
        """The state of what is there, a link not followed.

        Raises:
            OSError: nothing is.
        """
        if not self.name:
            return os.fstat(self.folder)
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)


@contextmanager
def locate(root: str, path: str, *, follow: bool = True) -> Iterator[Place]:
    """Open the way to a path.

    Args:
        root: the root, on the host.
        path: absolute, inside.
        follow: also a link that stands at the path itself.

    Raises:
        OSError: a part of the way is not there, no directory, or a loop of links.
    """
    walk = _Walk(root, path)
    try:
        while walk.parts:
            walk.step(follow)
        yield Place(walk.folder, walk.name)
    finally:
        os.close(walk.folder)


class _Walk:
    """A way that is walked part by part."""

    def __init__(self, root: str, path: str) -> None:
        self.parts = deque(path.split("/"))
        self.folder = os.open(root, _ROOT)
        self.name = ""
        self._root = root
        self._above: list[str] = []
        self._n_links = 0

    def step(self, follow: bool) -> None:
        """Take the next part of the way."""
        part = self.parts.popleft()
        if part in ("", "."):
            return
        if part == "..":
            self.parts.extendleft(reversed(self._above[:-1]))
            self._from_the_root()
            return
        state = os.stat(part, dir_fd=self.folder, follow_symlinks=False)
        more = any(rest not in ("", ".") for rest in self.parts)
        if stat.S_ISLNK(state.st_mode) and (more or follow):
            self._follow(os.readlink(part, dir_fd=self.folder))
        elif more:
            self._go_to(os.open(part, _DIRECTORY, dir_fd=self.folder))
            self._above.append(part)
        else:
            self.name = part

    def _follow(self, target: str) -> None:
        self._n_links += 1
        if self._n_links > _MAX_LINKS:
            raise OSError(f"too many links on the way to {target!r}")
        if target.startswith("/"):
            self._from_the_root()
        self.parts.extendleft(reversed(target.split("/")))

    def _from_the_root(self) -> None:
        self._go_to(os.open(self._root, _ROOT))
        self._above = []

    def _go_to(self, folder: int) -> None:
        os.close(self.folder)
        self.folder = folder


def read(root: str, path: str, max_bytes: int) -> bytes:
    """Read a regular file, links followed inside the root.

    Raises:
        FileNotFoundError: there is none.
        OverflowError: larger than ``max_bytes``.
    """
    try:
        with locate(root, path) as place:
            if not stat.S_ISREG(place.state().st_mode):
                raise FileNotFoundError(f"no regular file: {path}")
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(place.name, flags, dir_fd=place.folder)
    except OSError as error:
        raise FileNotFoundError(f"no regular file: {path}") from error
    return read_open(descriptor, path, max_bytes)


def read_open(descriptor: int, path: str, max_bytes: int) -> bytes:
    """Read an open regular file and close it.

    Raises:
        FileNotFoundError: it is none.
        OverflowError: larger than ``max_bytes``.
    """
    with open(descriptor, "rb", buffering=0) as stream:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise FileNotFoundError(f"no regular file: {path}")
        pieces, n_bytes = list[bytes](), state.st_size
        if n_bytes <= max_bytes:  # it may still grow, and a file of the kernel's has no size
            n_bytes = 0
            while n_bytes <= max_bytes and (piece := stream.read(1 << 20)):
                pieces.append(piece)
                n_bytes += len(piece)
        if n_bytes > max_bytes:
            raise OverflowError(f"{path} is larger than {max_bytes} bytes")
        return b"".join(pieces)


def kind_of(root: str, path: str) -> tuple[str, str]:
    """What stands at a path whose parents are no links; see ``archive.Kind``."""
    try:
        with locate(root, path, follow=False) as place:
            mode = place.state().st_mode
            if stat.S_ISLNK(mode):
                return "link", os.readlink(place.name, dir_fd=place.folder)
    except OSError:
        return "absent", ""
    return ("dir" if stat.S_ISDIR(mode) else "other"), ""


def remove(root: str, path: str) -> None:
    """Remove a path and all below it; links in it are removed, not followed.

    Raises:
        OSError: it cannot be removed.
    """
    try:
        with locate(root, path, follow=False) as place:
            if stat.S_ISDIR(place.state().st_mode):
                shutil.rmtree(place.name, dir_fd=place.folder)
            else:
                os.unlink(place.name, dir_fd=place.folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    except RecursionError:
        raise OSError(f"folders too deep to remove: {path}") from None

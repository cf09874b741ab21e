"""Archives made safe: each member goes where its folder really is, inside the sandbox.

The engine unpacks inside the container's root, so nothing leads out of it; but it follows links it
finds on the way, fails on dangling ones, and makes folders with modes of its own. So the members are
renamed to where they belong, and the folders that are missing are added.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
import time
from collections.abc import Callable

from cligym_env.errors import UsageError

__all__ = ["Kind", "one_file", "rewritten"]

Kind = Callable[[str], tuple[str, str]]
"""Tells what stands at a path whose parents are no links.

``dir``, ``other``, ``absent``, or ``link`` and its target.
"""

_MAX_LINKS = 40


def one_file(path: str, data: bytes, mode: int) -> bytes:
    """An archive of one file of root's."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo(path.lstrip("/"))
        member.size, member.mode, member.mtime = len(data), mode & 0o7777, int(time.time())
        tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def rewritten(archive: bytes, kind: Kind) -> bytes:
    """Give every member the place where it belongs.

    Args:
        archive: a tar, compressed or not.
        kind: what stands in the sandbox.

    Raises:
        UsageError: no tar, or one with a member that has ``..`` in its name or lies below a link of
            the same archive.
    """
    stream = io.BytesIO()
    try:
        with (
            tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as source,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as target,
        ):
            places = _Places(target, kind)
            for member in source:
                content = source.extractfile(member) if member.isreg() else None
                name = places.of(member.name)
                if not name:
                    continue  # the root itself
                places.members[name] = "dir" if member.isdir() else "other"
                if member.islnk():
                    member.linkname = places.of(member.linkname).lstrip("/")
                member.name, member.pax_headers = name.lstrip("/"), {}
                target.addfile(member, content)
    except tarfile.TarError as error:
        raise UsageError(f"not a tar archive: {error}") from error
    return stream.getvalue()


class _Places:
    """Where members go, given what stands there and what the archive itself has brought so far."""

    def __init__(self, target: tarfile.TarFile, kind: Kind) -> None:
        self.members: dict[str, str] = {}
        self._target = target
        self._kind = kind
        self._known: dict[str, tuple[str, str]] = {}

    def of(self, name: str) -> str:
        """The real path of a member, its folder made if need be."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts or "\0" in name:
            raise UsageError(f"a member of the archive leads elsewhere: {name!r}")
        return posixpath.join(self._folder(parts[:-1]), parts[-1]) if parts else ""

    def _folder(self, parts: list[str]) -> str:
        at, left, n_links = "/", list(reversed(parts)), 0
        while left:
            part = left.pop()
            if part == "..":
                at = posixpath.dirname(at)
                continue
            path = posixpath.join(at, part)
            kind, target = self._stands(path)
            if kind == "link":
                n_links += 1
                if n_links > _MAX_LINKS:
                    raise UsageError(f"a loop of links on the way to a member of the archive: {path}")
                at = "/" if target.startswith("/") else at
                left += [step for step in reversed(target.split("/")) if step not in ("", ".")]
                continue
            if kind != "dir":
                self._make(path)
            at = path
        return at

    def _stands(self, path: str) -> tuple[str, str]:
        ours = self.members.get(path)
        if ours == "other":
            raise UsageError(f"a member of the archive lies below another one that is no folder: {path}")
        if ours:
            return ours, ""
        if path not in self._known:
            self._known[path] = self._kind(path)
        return self._known[path]

    def _make(self, path: str) -> None:
        member = tarfile.TarInfo(path.lstrip("/"))
        member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, int(time.time())
        self._target.addfile(member)
        self.members[path] = "dir"

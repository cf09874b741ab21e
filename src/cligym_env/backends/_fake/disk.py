"""A file system in memory: files, folders, links and pipes by absolute path."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cligym_env.core import Entry
from cligym_env.errors import ImageError, UsageError

__all__ = ["Disk", "Node", "entry_of"]

_MAX_LINKS = 40
_TAR_KINDS: dict[bytes, Literal["file", "dir", "link", "other"]] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "link",
}


@dataclass(frozen=True, slots=True)
class Node:
    """What stands at one path. Never changed, only replaced, so that disks share nodes."""

    kind: Literal["file", "dir", "link", "other"]
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    data: bytes = b""
    target: str = ""


def entry_of(node: Node | None, *, digest: bool) -> Entry:
    """Describe a node, or its absence, in the words of ``core``."""
    if node is None:
        return Entry("absent")
    if node.kind == "link":
        return Entry("link", 0, node.uid, node.gid, target=node.target)
    sha256 = hashlib.sha256(node.data).hexdigest() if digest and node.kind == "file" else ""
    return Entry(node.kind, node.mode, node.uid, node.gid, len(node.data), sha256=sha256)


class Disk:
    """The paths of one sandbox or image.

    Args:
        nodes: absolute path → node; the root folder is added.
    """

    def __init__(self, nodes: Mapping[str, Node] | None = None) -> None:
        self.nodes: dict[str, Node] = {"/": Node("dir"), **(nodes or {})}
        self.made_anew: set[str] = set()

    def copy(self) -> Disk:
        """Give a disk that changes apart from this one."""
        return Disk(self.nodes)

    # ── looking ─────────────────────────────────────────────────────────────────────────────

    def resolve(self, path: str, *, last: bool = True) -> str:
        """Follow the links on the way to a path.

        Args:
            path: absolute.
            last: whether a link at the very end is followed too.

        Raises:
            FileNotFoundError: links run in a circle.
        """
        todo, done, n_links = _parts(path), "", 0
        while todo:
            part = todo.pop(0)
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            here = f"{done}/{part}"
            node = self.nodes.get(here)
            if node is None or node.kind != "link" or (not todo and not last):
                done = here
                continue
            n_links += 1
            if n_links > _MAX_LINKS:
                raise FileNotFoundError(f"too many links: {path}")
            todo = _parts(node.target) + todo
            done = "" if node.target.startswith("/") else done
        return done or "/"

    def at(self, path: str, *, last: bool = True) -> Node | None:
        """Give what stands at a path, links followed."""
        try:
            return self.nodes.get(self.resolve(path, last=last))
        except FileNotFoundError:
            return None

    def below(self, path: str) -> Iterator[str]:
        """Yield every path below one."""
        prefix = path.rstrip("/") + "/"
        yield from [other for other in self.nodes if other.startswith(prefix) and other != "/"]

    def names(self, path: str) -> list[str]:
        """Give the names in a folder, sorted."""
        prefix = path.rstrip("/") + "/"
        return sorted({other[len(prefix) :].partition("/")[0] for other in self.below(path)})

    # ── changing ────────────────────────────────────────────────────────────────────────────

    def place(self, path: str, node: Node, *, owner: tuple[int, int] = (0, 0)) -> str:
        """Put a node at a path whose folders are made; the path with links followed.

        A folder takes the place of a folder and keeps what is in it; anything else replaces all.

        Raises:
            NotADirectoryError: a file stands in the way.
        """
        path = self.resolve(path, last=False)
        parts = _parts(path)
        for depth in range(1, len(parts)):
            above = "/" + "/".join(parts[:depth])
            if above not in self.nodes:
                self.nodes[above] = Node("dir", 0o755, *owner)
            elif self.nodes[above].kind != "dir":
                raise NotADirectoryError(above)
        if node.kind != "dir":
            self.remove(path)
        self.nodes[path] = node
        return path

    def remove(self, path: str) -> None:
        """Remove a path and all below it, the path taken as it stands; harmless when it is missing."""
        for below in list(self.below(path)):
            del self.nodes[below]
        if path != "/" and self.nodes.pop(path, None) is not None:
            self.made_anew.add(path)

    def write(self, path: str, data: bytes, *, mode: int, owner: tuple[int, int]) -> None:
        """Write a file through links; one that is there keeps its mode and owner."""
        real = self.resolve(path)
        there = self.nodes.get(real)
        if there is not None and there.kind == "file":
            self.nodes[real] = replace(there, data=data)
        else:
            self.place(real, Node("file", mode, *owner, data=data), owner=owner)

    def unpack(self, archive: bytes, remove: Sequence[str] = ()) -> None:
        """Remove paths, then put a tar's members in.

        Raises:
            ImageError: it is no tar.
            UsageError: a member leads out of the root.
        """
        for path in remove:
            self.remove(self.resolve(path, last=False))
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                for member in tar:
                    self._member(tar, member)
        except tarfile.TarError as error:
            raise ImageError(f"not a tar: {error}") from error

    def _member(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if ".." in member.name.split("/"):
            raise UsageError(f"a member leads out of the root: {member.name}")
        stream = tar.extractfile(member) if member.isreg() else None
        node = Node(
            _TAR_KINDS.get(member.type, "other"),
            member.mode & 0o7777,
            member.uid,
            member.gid,
            stream.read() if stream else b"",
            member.linkname if member.issym() else "",
        )
        if member.islnk():
            node = self.nodes.get("/" + member.linkname.strip("/"), node)
        self.place("/" + member.name.strip("/"), node)

    # ── comparing ───────────────────────────────────────────────────────────────────────────

    def changes(self, image: Disk) -> dict[str, Entry]:
        """Tell what differs from an image; below a removed path nothing more is listed."""
        found: dict[str, Entry] = {}
        for path in sorted({*self.nodes, *image.nodes}):
            here, there = self.nodes.get(path), image.nodes.get(path)
            above = self.nodes.get(path.rpartition("/")[0] or "/")
            if here == there or (here is None and (above is None or above.kind != "dir")):
                continue
            found[path] = entry_of(here, digest=False)
        for path in self.made_anew & set(self.nodes):
            # As an overlay has it: a folder removed and made again hides what the image had below.
            if self.nodes[path].kind == "dir" and path in image.nodes:
                found[path] = replace(entry_of(self.nodes[path], digest=False), opaque=True)
        return dict(sorted(found.items()))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]

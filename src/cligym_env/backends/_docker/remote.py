"""Files of a container through the engine's API alone: for remote engines, other stores, ordinary users."""

from __future__ import annotations

import hashlib
import io
import posixpath
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import docker.utils

from cligym_env.backends._docker.engine import Engine, told_as
from cligym_env.core import Entry

__all__ = ["ApiSnapshot", "kind_of", "read"]

# Go's bits for what a file is, in the engine's "path stat" (Go, io/fs.FileMode).
_DIR, _LINK, _IRREGULAR = 1 << 31, 1 << 27, (1 << 26) | (1 << 25) | (1 << 24) | (1 << 21) | (1 << 19)
_DELETED = 2


def _stat(engine: Engine, container: str, path: str) -> dict[str, Any] | None:
    """What stands at a path, itself no link followed; ``None`` when nothing does."""
    api = engine.api
    url = api._url("/containers/{0}/archive", container)
    with told_as():
        response = api.head(url, params={"path": path}, timeout=api.timeout)
        if response.status_code == 404:
            with told_as():
                api.inspect_container(container)  # the container may be what is not found
            return None
        if response.status_code == 400:  # below something that is no folder
            return None
        if response.status_code == 500 and _is_nothing(api._get(url, params={"path": path}).text):
            return None
        api._raise_for_status(response)
    header: dict[str, Any] = docker.utils.decode_json_header(
        response.headers["x-docker-container-path-stat"]
    )
    return header


def _is_nothing(message: str) -> bool:
    return any(
        why in message for why in ("too many links", "too many levels", "not a directory", "name too long")
    )


def kind_of(engine: Engine, container: str, path: str) -> tuple[str, str]:
    """What stands at a path whose parents are no links; a link's target is where it leads in the end."""
    found = _stat(engine, container, path)
    if found is None:
        return "absent", ""
    if found["mode"] & _LINK:
        return "link", str(found["linkTarget"])
    return ("dir" if found["mode"] & _DIR else "other"), ""


@contextmanager
def _member(
    engine: Engine, container: str, path: str
) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]] | None]:
    """The first member of a path's archive, and its content; ``None`` when nothing stands there."""
    api = engine.api
    url = api._url("/containers/{0}/archive", container)
    with told_as():
        response = api._get(
            url, params={"path": path}, stream=True, headers={"Accept-Encoding": "identity"}
        )
        try:
            if response.status_code in (400, 404):
                yield None
                return
            api._raise_for_status(response)
            with tarfile.open(fileobj=response.raw, mode="r|", errorlevel=1) as tar:
                member = tar.next()
                if member is None:
                    yield None
                else:
                    content = tar.extractfile(member) if member.isreg() else None
                    yield member, content or io.BytesIO()
        finally:
            response.close()


def read(engine: Engine, container: str, path: str, max_bytes: int) -> bytes:
    """Read a regular file, links followed inside the container.

    Raises:
        FileNotFoundError: there is none.
        OverflowError: larger than ``max_bytes``.
    """
    found = _stat(engine, container, path)
    if found is not None and found["mode"] & _LINK:
        path = str(found["linkTarget"])
        found = _stat(engine, container, path)
    if found is None or found["mode"] & (_DIR | _LINK | _IRREGULAR):
        raise FileNotFoundError(f"no regular file: {path}")
    if found["size"] > max_bytes:
        raise OverflowError(f"{path} is larger than {max_bytes} bytes")
    with _member(engine, container, path) as member:
        if member is None or not member[0].isreg():
            raise FileNotFoundError(f"no regular file: {path}")
        data = member[1].read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OverflowError(f"{path} is larger than {max_bytes} bytes")
    return data


class ApiSnapshot:
    """A frozen disk; keeps the promises of ``core.Snapshot``, slowly.

    The engine's own difference misses a file that kept its size and its time to the second, and
    does not tell names that are no UTF-8.
    """

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        self._container = container
        self._folders: dict[str, bool] = {"/": True}

    def changes(self, *, max_paths: int = 20_000) -> Mapping[str, Entry]:
        """What differs from the image; see ``core.Snapshot.changes``."""
        with told_as():
            listed = self._engine.api.diff(self._container) or []
        if len(listed) > max_paths:
            raise OverflowError(f"more than {max_paths} changed paths")
        found: dict[str, Entry] = {}
        for item in listed:
            path = str(item["Path"])
            entry = self._entry(path, digest=False)
            if item["Kind"] == _DELETED and entry.kind == "dir":  # removed and made again
                entry = Entry("dir", entry.mode, entry.uid, entry.gid, opaque=True)
            found[path] = entry
        return dict(sorted(found.items()))

    def entry(self, path: str) -> Entry:
        """One path's state; see ``core.Snapshot.entry``."""
        return self._entry(path, digest=True)

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """A regular file's content; see ``core.Snapshot.read``."""
        path = posixpath.normpath(f"/{path.lstrip('/')}")
        if not self._is_folder(posixpath.dirname(path)):
            raise FileNotFoundError(f"no regular file: {path}")
        if kind_of(self._engine, self._container, path)[0] != "other":
            raise FileNotFoundError(f"no regular file: {path}")
        return read(self._engine, self._container, path, max_bytes)

    def _entry(self, path: str, *, digest: bool) -> Entry:
        path = posixpath.normpath(f"/{path.lstrip('/')}")
        if not self._is_folder(posixpath.dirname(path)):
            return Entry("absent")
        with _member(self._engine, self._container, path) as found:
            if found is None:
                return Entry("absent")
            member, content = found
            owner = (member.uid, member.gid)
            if member.issym():
                return Entry("link", 0, *owner, target=member.linkname)
            if member.isdir():
                return Entry("dir", stat.S_IMODE(member.mode), *owner)
            if not member.isreg():
                return Entry("other", stat.S_IMODE(member.mode), *owner)
            sha256 = hashlib.file_digest(content, "sha256").hexdigest() if digest else ""  # type: ignore[arg-type]
            return Entry("file", stat.S_IMODE(member.mode), *owner, member.size, sha256=sha256)

    def _is_folder(self, path: str) -> bool:
        """Whether a path is a folder, and all above it, no link among them."""
        if path not in self._folders:
            self._folders[path] = (
                self._is_folder(posixpath.dirname(path))
                and kind_of(self._engine, self._container, path)[0] == "dir"
            )
        return self._folders[path]

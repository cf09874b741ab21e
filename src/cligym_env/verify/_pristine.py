"""Gold's own disk, opened only when a question needs it."""

from __future__ import annotations

import hashlib
import io
import posixpath
import re
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from cligym_env.core import Backend, Entry, Image, Limits, Sandbox, Snapshot

__all__ = ["SITE", "Pristine", "View", "distribution"]

WHEELHOUSE = "/opt/wheelhouse"
SITE = re.compile(r"(?P<folder>/opt/venv/lib/python3\.\d+/site-packages)/(?P<top>[^/]+)(/|$)")
_MAX_LINKS = 40
_TIMEOUT_S = 300.0
_MAX_WHEEL_BYTES = 64 << 20
_PYC_HEAD_BYTES = 16
_COMPARE = """
import marshal, sys
data = sys.stdin.buffer.read()
size = int.from_bytes(data[:8], "big")
one, other = data[8 : 8 + size], data[8 + size :]
if one[:4] == other[:4] and marshal.loads(one[16:]) == marshal.loads(other[16:]):
    print(sys.argv[1])
"""


class Pristine:
    """One frozen sandbox of the gold image, and one that still runs for listings.

    Args:
        backend: where it starts.
        image: of the gold.
    """

    def __init__(self, backend: Backend, image: Image) -> None:
        self._backend, self._image = backend, image
        self._opened: list[Sandbox] = []

    @cached_property
    def snapshot(self) -> Snapshot:
        """Gold's disk."""
        return self._start().freeze()

    @cached_property
    def _running(self) -> Sandbox:
        return self._start()

    def _start(self) -> Sandbox:
        sandbox = self._backend.start(self._image, Limits())
        self._opened.append(sandbox)
        return sandbox

    def content(self, path: str) -> bytes:
        """A regular file's content; empty where gold has none."""
        try:
            return self.snapshot.read(path)
        except FileNotFoundError:
            return b""

    def listing(self, folder: str, pattern: str) -> list[str]:
        """Regular files below a folder whose name fits a shell pattern, sorted."""
        found = self._running.exec(
            ["/usr/bin/find", folder, "-xdev", "-type", "f", "-name", pattern, "-print0"],
            timeout_s=_TIMEOUT_S,
        )
        return sorted(
            name.decode("utf-8", "surrogateescape")
            for name in found.output.split(b"\0")
            if name[:1] == b"/"
        )

    def same_code(self, one: bytes, other: bytes) -> bool:
        """Whether two bytecode files hold equal code; read by gold's interpreter, not by ours."""
        if one[_PYC_HEAD_BYTES:] == other[_PYC_HEAD_BYTES:]:
            return True
        nonce = secrets.token_hex(16)
        feed = len(one).to_bytes(8, "big") + one + other
        done = self._running.exec(
            ["/usr/bin/python3", "-I", "-S", "-c", _COMPARE, nonce],
            timeout_s=_TIMEOUT_S,
            user="nobody",
            stdin=feed,
        )
        return done.output.strip() == nonce.encode()

    @cached_property
    def wheels(self) -> Mapping[str, frozenset[tuple[str, str]]]:
        """Distribution → (path below site-packages, sha256) of every file of its offline wheels."""
        known: dict[str, set[tuple[str, str]]] = {}
        for path in self.listing(WHEELHOUSE, "*.whl"):
            name = distribution(posixpath.basename(path).split("-")[0])
            data = self._running.read(path, max_bytes=_MAX_WHEEL_BYTES)
            known.setdefault(name, set()).update(_digests(data))
        return {name: frozenset(found) for name, found in known.items()}

    def close(self) -> None:
        """Give the sandboxes back."""
        for sandbox in self._opened:
            sandbox.close()


class View:
    """Gold's disk with some paths replaced: what a graft will look like.

    Args:
        gold: gold's disk; opened when a path is asked for that is not replaced.
        replaced: path → what stands there instead.
    """

    def __init__(self, gold: Pristine, replaced: Mapping[str, Entry]) -> None:
        self._gold, self._replaced = gold, replaced

    def entry(self, path: str) -> Entry:
        """One path's state, links not followed."""
        return self._replaced[path] if path in self._replaced else self._gold.snapshot.entry(path)

    def resolve(self, path: str) -> tuple[str, Entry]:
        """Follow links; the place where they end and what is there, ``absent`` for a loop."""
        todo, place, n_links = path.strip("/").split("/"), "/", 0
        while todo:
            name = todo.pop(0)
            if name in ("", "."):
                continue
            if name == "..":
                place = posixpath.dirname(place)
                continue
            here = posixpath.join(place, name)
            entry = self.entry(here)
            if entry.kind == "link":
                n_links += 1
                if n_links > _MAX_LINKS:
                    return path, Entry("absent")
                todo = [*entry.target.split("/"), *todo]
                place = "/" if entry.target.startswith("/") else place
            elif todo and entry.kind != "dir":
                return here, Entry("absent")
            else:
                place = here
        return place, replace(self.entry(place), opaque=False)


def distribution(name: str) -> str:
    """A distribution's name in its normal form, as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _digests(wheel: bytes) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, hashlib.sha256(archive.read(info)).hexdigest()

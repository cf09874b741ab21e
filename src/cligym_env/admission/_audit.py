"""The gate ``leaks``: nothing in a broken environment may hand the original back.

The broken file system is gold's, which is known, and the paths that differ, which are few. So the
changed files are searched from outside, and copies among the unchanged ones are looked for with
the programs of a fresh gold: no program of the broken environment is trusted.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import importlib.util
import io
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from cligym_env.core import Gold, PathState, Sandbox, Snapshot
from cligym_env.errors import RejectedError, SandboxError

__all__ = ["check"]

_MIN_BYTES = 64
_MIN_LINE_CHARS = 16
_MAX_PIECES = 40
_WINDOW_BYTES = 32
_MAX_FORM_BYTES = 32 << 20
_DEPTH = 3
_TIMEOUT_S = 300.0

_SITE = re.compile(r".*/(site|dist)-packages/|/opt/venv/bin/")
_BACKUP = re.compile(
    r".*(\.orig|\.bak|\.bk|\.old|\.save|\.saved|\.backup|\.rej|\.sw[op]|~|\.dpkg-\w+|\.ucf-\w+|\.patch|\.diff)"
    r"|\.?(bash|python|zsh|sh|sqlite|node_repl|psql)_?history|\.viminfo|\.lesshst|#.*#|nohup\.out"
)

# Runs in a fresh gold: same size first, then the digest.
_SEARCH = """
import hashlib, json, os, subprocess, sys
asked = json.load(sys.stdin)
sizes, digests, found = set(asked["sizes"]), set(asked["digests"]), []
for folder, folders, names in os.walk(asked["root"]):
    skip = {".git"} if folder != "/" else {"proc", "sys", "dev"}
    folders[:] = [name for name in folders if name not in skip]
    for name in names:
        path = os.path.join(folder, name)
        if os.path.islink(path) or path in asked["changed"] or not os.path.isfile(path):
            continue
        if os.path.getsize(path) in sizes:
            with open(path, "rb") as stream:
                if hashlib.sha256(stream.read()).hexdigest() in digests:
                    found.append(path)
print(json.dumps(found))
"""


def check(
    paths: Sequence[PathState], broken: Snapshot, original: Snapshot, gold: Gold, pristine: Sandbox
) -> str:
    """Look for the original of what was broken.

    Args:
        paths: what the inversion changed.
        broken: the frozen sandbox in which it was replayed.
        original: a frozen sandbox of the gold.
        gold: the gold.
        pristine: a running sandbox of the gold, to search with.

    Returns:
        What was searched, for the task's record.

    Raises:
        RejectedError: names where the original, or a piece of it, is found.
    """
    _backups(paths)
    released = _other_release(paths)
    lost = {
        state: original.read(state.path)
        for state in paths
        if _is_lost(state) and not (released and _SITE.match(state.path))
    }
    there = {state.path: broken.read(state.path) for state in paths if state.broken.kind == "file"}
    for state, content in lost.items():
        pieces = _pieces(content, there.get(state.path, b""))
        for path, other in there.items():
            _compare(state.path, content, pieces, path, other)
    _copies([state for state in lost if state.path.startswith(gold.workdir + "/")], paths, gold, pristine)
    return f"{len(lost)} originals, {len(there)} changed files searched"


def _other_release(paths: Sequence[PathState]) -> bool:
    """Whether an installed distribution is another one now.

    Two releases share most of their lines, and the way back is the wheel that lies offline.
    """
    return any(_SITE.match(state.path) and state.path.endswith(".dist-info/METADATA") for state in paths)


def _is_lost(state: PathState) -> bool:
    changed = state.broken.kind != "file" or state.broken.sha256 != state.gold.sha256
    return state.gold.kind == "file" and changed and state.gold.size_bytes >= _MIN_BYTES


def _backups(paths: Sequence[PathState]) -> None:
    for state in paths:
        name = state.path.rpartition("/")[2]
        if state.gold.kind == "absent" and _BACKUP.fullmatch(name):
            raise RejectedError("leaks", f"{state.path} is a backup, a patch or a history")


def _pieces(content: bytes, broken: bytes) -> list[bytes]:
    """What only the original has: lines of a text, the bytes around the first difference otherwise."""
    if b"\0" not in content:
        kept = {line.strip() for line in broken.splitlines()}
        lines = {line.strip() for line in content.splitlines()} - kept
        return sorted((line for line in lines if len(line) >= _MIN_LINE_CHARS), key=len)[-_MAX_PIECES:]
    first = next(
        (place for place, pair in enumerate(zip(content, broken, strict=False)) if pair[0] != pair[1]), 0
    )
    start = max(0, first - _WINDOW_BYTES // 2)
    return [content[start : start + _WINDOW_BYTES]]


def _compare(path: str, content: bytes, pieces: Sequence[bytes], place: str, other: bytes) -> None:
    if _is_bytecode_of(path, content, place, other):
        raise RejectedError("leaks", f"{place} is bytecode of the original {path}")
    if place == path:
        commented = {line.strip().lstrip(b"#/;*- \t").strip() for line in other.splitlines()}
        if b"\0" not in content and any(piece in commented for piece in pieces):
            raise RejectedError("leaks", f"{place} keeps the original in a comment")
        return
    for form in _forms(other, _DEPTH):
        if content in form or any(piece in form for piece in pieces):
            raise RejectedError("leaks", f"{place} holds what {path} was")


def _is_bytecode_of(path: str, content: bytes, place: str, other: bytes) -> bool:
    """Bytecode names its source by hash, or by size and time; the name of the file has to fit then."""
    if not path.endswith(".py") or other[2:4] != b"\r\n" or len(other) < 16:
        return False
    flags = int.from_bytes(other[4:8], "little")
    if flags & 1:
        return other[8:16] == importlib.util.source_hash(content)
    stem = path.rpartition("/")[2][:-3]
    fits = place.rpartition("/")[2].startswith(stem + ".")
    return fits and int.from_bytes(other[12:16], "little") == len(content) & 0xFFFFFFFF


# ── forms a copy may take ───────────────────────────────────────────────────────────────────


def _gunzip(data: bytes) -> list[bytes]:
    return [gzip.GzipFile(fileobj=io.BytesIO(data)).read(_MAX_FORM_BYTES)]


def _inflate(data: bytes) -> list[bytes]:
    return [zlib.decompressobj().decompress(data, _MAX_FORM_BYTES)]


def _bunzip(data: bytes) -> list[bytes]:
    return [bz2.BZ2Decompressor().decompress(data, _MAX_FORM_BYTES)]


def _unxz(data: bytes) -> list[bytes]:
    return [lzma.LZMADecompressor().decompress(data, _MAX_FORM_BYTES)]


def _untar(data: bytes) -> list[bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        streams = (tar.extractfile(member) for member in tar if member.isfile())
        return [stream.read(_MAX_FORM_BYTES) for stream in streams if stream is not None]


def _unzip(data: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [archive.open(name).read(_MAX_FORM_BYTES) for name in archive.namelist()]


def _unbase64(data: bytes) -> list[bytes]:
    return [base64.b64decode(b"".join(data.split()), validate=True)]


def _unhex(data: bytes) -> list[bytes]:
    return [binascii.unhexlify(b"".join(data.split()))]


_OPENERS: tuple[Callable[[bytes], list[bytes]], ...] = (
    *(_gunzip, _inflate, _bunzip, _unxz, _untar, _unzip, _unbase64, _unhex),
)


def _forms(data: bytes, depth: int) -> Iterator[bytes]:
    """The content itself, and what is in it when it is packed."""
    yield data
    yield data[::-1]
    if depth == 0 or not data:
        return
    for opener in _OPENERS:
        try:
            inner = opener(data)
        except (
            OSError,
            ValueError,
            EOFError,
            zlib.error,
            lzma.LZMAError,
            tarfile.TarError,
            zipfile.BadZipFile,
        ):
            continue
        except (NotImplementedError, RuntimeError):  # an encrypted or unknown kind of zip
            continue
        for part in inner:
            yield from _forms(part, depth - 1)


def _copies(lost: Sequence[PathState], paths: Sequence[PathState], gold: Gold, pristine: Sandbox) -> None:
    """A second copy of a source of the repository, anywhere else, is one ``cp`` away from repair.

    Files of the system are left out: that a time zone lies under two names is what a real machine
    is like, and a realistic way to its repair.
    """
    if not lost:
        return
    asked: Mapping[str, object] = {
        "root": "/",
        "sizes": [state.gold.size_bytes for state in lost],
        "digests": [state.gold.sha256 for state in lost],
        "changed": [state.path for state in paths],
    }
    command = ["/usr/bin/python3", "-I", "-c", _SEARCH]
    done = pristine.exec(command, timeout_s=_TIMEOUT_S, stdin=json.dumps(asked).encode())
    try:
        found = json.loads(done.output)
    except ValueError as error:
        raise SandboxError(f"searching the gold {gold.name} for copies: {done.text[-200:]}") from error
    if found:
        raise RejectedError("leaks", f"{found[0]} is a copy of what was broken")

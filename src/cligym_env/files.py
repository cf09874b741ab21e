"""Where things lie on the host, and how they are written so that a killed run loses nothing.

Two roots: the *home* holds what can be made again (images, downloads, locks); the *data* folder
holds what ships with the package (gold recipes, tasks). ``CLIGYM_HOME`` moves the home, and
``CLIGYM_DATA`` the data.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["append_row", "data", "home", "home_path", "locked", "read_rows", "write_atomic"]


def home() -> Path:
    """The folder for everything that can be made again; made when it is missing."""
    path = home_path()
    path.mkdir(parents=True, exist_ok=True)
    return path


def home_path() -> Path:
    """Where ``home`` is, or would be; makes nothing."""
    root = os.environ.get("CLIGYM_HOME")
    if root:
        return Path(root).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "cligym"


def data() -> Path:
    """The folder with ``gold/`` and ``tasks/``: in the wheel, or in the source tree."""
    root = os.environ.get("CLIGYM_DATA")
    if root:
        return Path(root).expanduser().absolute()
    package = Path(__file__).resolve().parent
    shipped = package / "data"
    return shipped if shipped.is_dir() else package.parent.parent / "envs"


def write_atomic(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: temporary file in the same folder, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append one JSON row and make it last: one write with ``O_APPEND``, then fsync.

    A line that an earlier, killed writer left without its end is closed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    with locked(path.with_name(f".{path.name}.lock")), open(path, "a+b", buffering=0) as stream:
        if stream.seek(0, os.SEEK_END) and os.pread(stream.fileno(), 1, stream.tell() - 1) != b"\n":
            line = b"\n" + line
        stream.write(line)
        os.fsync(stream.fileno())


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file that ``append_row`` wrote; torn lines are passed over."""
    if not path.exists():
        return
    with open(path, "rb") as stream:
        for line in stream:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes and threads; it dies with its holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield

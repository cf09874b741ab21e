"""What every step of a gold's making shares on the host: telling, and failing in words."""

from __future__ import annotations

import errno
import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cligym_env import files
from cligym_env.errors import ImageError

__all__ = ["Report", "bar", "forget_stale", "host_failures", "sha256", "silent", "tail"]

logger = logging.getLogger("cligym_env.gold")

_STALE_S = 3600.0

Report = Callable[[str], None]
"""Told in one line what a long piece of work does now."""


def silent(line: str) -> None:
    """Tell nobody but the logger."""
    logger.info("%s", line)


@contextmanager
def bar(title: str, report: Report | None) -> Iterator[Report]:
    """Give a report: the caller's, or a bar on standard error where a person looks at it.

    Args:
        title: stands before every line.
        report: the caller's own; ``None`` for the bar.
    """
    if report is not None:
        yield report
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda line: logger.info("%s: %s", title, line)
        return
    columns = (BarColumn(bar_width=12), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def show(line: str) -> None:
            progress.update(task, description=f"{title}: {line}")
            logger.info("%s: %s", title, line)

        yield show


@contextmanager
def host_failures() -> Iterator[None]:
    """Turn a full disk and a forbidden folder into one typed error.

    Raises:
        ImageError: says which folder, and how to move it.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImageError(
                f"no space left under {files.home()}: free some, or move the home with CLIGYM_HOME"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ImageError(
                f"cannot write {error.filename or files.home()} ({error.strerror}): "
                "move the home with CLIGYM_HOME"
            ) from error
        raise


def forget_stale(folder: Path) -> None:
    """Remove what killed runs left half-made in a folder: ``.making-*``, untouched for an hour."""
    for path in folder.glob(".making-*"):
        try:
            if time.time() - path.lstat().st_mtime < _STALE_S:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        except FileNotFoundError:
            # Somebody else was quicker.
            continue


def tail(text: str, *, n_lines: int = 6, n_chars: int = 800) -> str:
    """Give the end of a program's output in one line, without the underlining of tracebacks."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" ^~")]
    return " | ".join(lines[-n_lines:])[-n_chars:]


def sha256(path: Path) -> str:
    """Digest a file on the host: sha256 hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

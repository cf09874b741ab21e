"""What commands print with: tables and JSON on stdout, progress and remarks on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = ["JsonOption", "json_out", "progress", "remark", "table"]

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
"""The type of every command's ``--json`` switch: ``as_json: JsonOption = False``."""

_PIPE_WIDTH = 10_000


def json_out(value: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table to stdout; cells are plain text, never markup, and never cut in a pipe.

    Args:
        title: stands above it.
        columns: their headings.
        rows: a cell for each column.
    """
    view = Table(title=title, title_justify="left")
    for column in columns:
        view.add_column(column, overflow="fold")
    for row in rows:
        view.add_row(*(_cell(value) for value in row))
    wide = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(markup=False, highlight=False, width=wide).print(view)


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def remark(text: str) -> None:
    """Say something that is not the result, on stderr."""
    Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(text)


def progress() -> Progress:
    """Give a progress bar on stderr, to be used in a ``with`` statement."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=not sys.stderr.isatty(),
    )

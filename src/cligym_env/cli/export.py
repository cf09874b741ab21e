"""Write trajectories in somebody's format: training rows (sft), Harbor's trajectories (atif)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cligym_env import plugins, trajectories
from cligym_env.cli import _output
from cligym_env.errors import UsageError

__all__ = ["app"]

app = typer.Typer()


@app.command("export")
def export(
    exporter: Annotated[str, typer.Argument(help="sft, atif, or another exporter's name.")],
    runs: Annotated[list[Path], typer.Argument(help="Files of trajectories, or folders that hold some.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file or folder to write.")],
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Only those that repaired their task.")
    ] = False,
    min_turns: Annotated[int, typer.Option("--min-turns", help="Only those of so many turns.")] = 0,
    unflagged: Annotated[bool, typer.Option("--unflagged", help="Only those without a flag.")] = False,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", help="Only shorter ones (sft).")] = None,
    tokenizer: Annotated[str, typer.Option("--tokenizer", help="To count with (sft).")] = "",
    as_json: _output.JsonOption = False,
) -> None:
    """Write trajectories in somebody's format: training rows (sft), Harbor's trajectories (atif)."""
    asked: dict[str, Any] = {"resolved": resolved, "min_turns": min_turns, "unflagged": unflagged}
    asked |= {"max_tokens": max_tokens, "tokenizer": tokenizer}
    # What was not asked for is not passed: an exporter need not know every option.
    writer = plugins.create(
        "exporters", exporter, **{name: value for name, value in asked.items() if value}
    )
    found = trajectories.read(_files(runs))
    written = writer.export(found, out)
    if as_json:
        _output.json_out({"written": str(written), "n_read": len(found)})
    else:
        _output.table("Export", ("read", "written"), [(len(found), written)])


def _files(runs: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for run in runs:
        inside = sorted(run.rglob("*.jsonl")) if run.is_dir() else [run]
        if not inside:
            raise UsageError(f"{run} holds no file of trajectories (*.jsonl)")
        found += inside
    return found

"""Prove tasks again: gold holds, broken fails the same tests, noop earns 0, the solution 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from cligym_env import admission, catalog
from cligym_env import gold as golds
from cligym_env.cli import _output
from cligym_env.core import Backend
from cligym_env.errors import UsageError

__all__ = ["app"]

app = typer.Typer()


@app.command("validate")
def validate(
    task: Annotated[list[str] | None, typer.Argument(help="Task ids, or folders of tasks.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every task there is.")] = False,
    gold: Annotated[str | None, typer.Option("--gold", help="With --all: only this gold's.")] = None,
    backend: Annotated[str, typer.Option("--backend", "-b", help="Where sandboxes run.")] = "auto",
    as_json: _output.JsonOption = False,
) -> None:
    """Prove tasks again: gold holds, broken fails the same tests, noop earns 0, the solution 1.

    Exits with 1 when a task does not hold.
    """
    names = list(task or ())
    if bool(names) == every:
        raise UsageError("name tasks, or give --all")
    if every:
        names = list(catalog.list_tasks(gold=gold))
    with closing(catalog.open_backend(backend)) as engine, _output.progress() as bar:
        line = bar.add_task("validating", total=len(names))
        found = []
        for row in _validations(names, engine):
            found.append(row)
            bar.advance(line)
            if not row.holds:
                _output.remark(f"{row.task}: {row.reason}")
    if as_json:
        _output.json_out([{**asdict(row), "holds": row.holds} for row in found])
    else:
        columns = ("task", "gold", "broken", "noop", "solution", "holds")
        rows = [_cells(row) for row in found]
        _output.table(f"Validated on {engine.name}", columns, rows)
    if not all(row.holds for row in found):
        raise typer.Exit(1)


def _cells(row: admission.Validation) -> tuple[object, ...]:
    gold = f"{row.gold}/{admission.N_GOLD}"
    broken = f"{row.broken}/{admission.N_BROKEN}"
    return (row.task, gold, broken, f"{row.noop:.0f}", f"{row.solution:.0f}", row.reason or "yes")


def _validations(names: Sequence[str], backend: Backend) -> Iterator[admission.Validation]:
    """A gold's own five runs are made once, however many of its tasks are asked for."""
    held: dict[str, int] = {}
    for name in names:
        task = catalog.task(name)
        gold = golds.load(task.gold)
        if gold.name not in held:
            held[gold.name] = admission.count_gold(gold, backend)
        yield admission.validate(task, gold, backend, n_gold=held[gold.name])

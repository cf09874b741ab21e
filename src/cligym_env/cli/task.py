"""Look at tasks: list them, show one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cligym_env import catalog, tasks
from cligym_env import gold as golds
from cligym_env.cli import _output

__all__ = ["app"]

app = typer.Typer(name="task", no_args_is_help=True, help="Look at tasks: list them, show one.")


@app.command("list")
def list_(
    category: Annotated[str | None, typer.Option("--category", help="Only of this category.")] = None,
    gold: Annotated[str | None, typer.Option("--gold", help="Only of this gold.")] = None,
    family: Annotated[str | None, typer.Option("--family", help="Only of this fault family.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="train or test.")] = None,
    as_json: _output.JsonOption = False,
) -> None:
    """List the tasks there are."""
    names = catalog.list_tasks(category=category, gold=gold, family=family, split=split)
    if as_json:
        _output.json_out(list(names))
        return
    found = [catalog.task(name) for name in names]
    rows = [
        (task.id, task.category, len(task.fail_to_pass), task.n_pass_to_pass, task.split) for task in found
    ]
    _output.table(f"{len(rows)} tasks", ("task", "category", "fail to pass", "pass to pass", "split"), rows)


@app.command("show")
def show(
    task: Annotated[str, typer.Argument(help="The task's id.")],
    guidance: Annotated[int, typer.Option("--guidance", "-g", help="0, 1 or 2.")] = 1,
    hint: Annotated[bool, typer.Option("--hint", help="With the hint.")] = False,
    solution: Annotated[
        bool, typer.Option("--solution", help="Also what broke it, and the way back.")
    ] = False,
    as_json: _output.JsonOption = False,
) -> None:
    """Show what a policy is told, and what is known about a task."""
    found = catalog.task(task)
    text = tasks.instruction(found, golds.load(found.gold), guidance=guidance, hint=hint)
    if as_json:
        _output.json_out({**asdict(found), "instruction": text})
        return
    rows: list[tuple[str, object]] = [
        ("gold", found.gold),
        ("category", found.category),
        ("family", found.family),
        ("split", found.split),
        ("seed", found.seed),
        ("fail to pass", len(found.fail_to_pass)),
        ("pass to pass", found.n_pass_to_pass),
        ("changed paths", len(found.paths)),
        *((f"gate {gate}", measured) for gate, measured in found.gates.items()),
    ]
    _output.table(found.id, ("", ""), rows)
    typer.echo(f"\n{text}")
    if solution:
        for title, commands in (
            ("Broken by", found.inversion.commands),
            ("Repaired by", found.inversion.solution),
        ):
            typer.echo(f"\n{title}:\n")
            for command in commands:
                typer.echo("    " + command.replace("\n", "\n    "))

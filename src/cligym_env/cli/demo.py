"""Show everything small: one gold, five tasks of different categories, three policies, training rows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from cligym_env import collect as collecting
from cligym_env import gold as golds
from cligym_env import invert as inverting
from cligym_env import plugins
from cligym_env.catalog import open_backend
from cligym_env.cli import _output
from cligym_env.cli.collect import report
from cligym_env.core import CATEGORIES, Backend, FaultFamily, Gold, Trajectory
from cligym_env.errors import RejectedError

__all__ = ["app"]

app = typer.Typer()

_POLICIES = ("noop", "random", "oracle")


@app.command("demo")
def demo(
    gold: Annotated[str, typer.Option("--gold", help="Name of a gold.")] = "h11",
    n: Annotated[int, typer.Option("-n", help="Tasks, each of another category.")] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Chooses the inversions.")] = 0,
    backend: Annotated[str, typer.Option("--backend", "-b", help="Where sandboxes run.")] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for all of it.")] = Path("runs/demo"),
) -> None:
    """Show everything small: one gold, five tasks of different categories, three policies, training rows.

    A second run goes on from what the first one made. Exits with 1 when a reward is not what it must be.
    """
    recipe = golds.load(gold)
    with closing(open_backend(backend)) as engine:
        _output.remark(f"1. gold {gold} on {engine.name}: made on first use, which takes a few minutes")
        golds.image(recipe, engine)
        _output.remark(f"2. inverting it into {n} tasks; each is validated before it counts")
        tasks = _tasks(recipe, engine, out / "tasks", n=n, seed=seed)
        _output.remark(f"3. {', '.join(_POLICIES)} act on them")
        place = out / "trajectories.jsonl"
        policies = [plugins.create("policies", name) for name in _POLICIES]
        found = collecting.collect(
            [str(task) for task in tasks], policies, out=place, backend=engine, seed=seed
        )
    _output.remark("4. what came of it")
    report(found, place)
    rows = plugins.create("exporters", "sft").export(found, out / "sft.parquet")
    records = plugins.create("exporters", "atif").export(found, out / "atif")
    places = [("tasks", out / "tasks"), ("trajectories", place), ("training rows", rows), ("ATIF", records)]
    _output.table("Written", ("what", "where"), places)
    if not _as_promised(found):
        raise typer.Exit(1)


def _tasks(gold: Gold, backend: Backend, out: Path, *, n: int, seed: int) -> list[Path]:
    """Make one task of each category, until there are enough."""
    families: dict[str, list[str]] = {category: [] for category in CATEGORIES}
    for name in plugins.names("faults"):
        family: FaultFamily = plugins.create("faults", name)
        families[family.category].append(name)
    made: list[Path] = []
    for category, names in families.items():
        if len(made) == n or not names:
            continue
        summary = inverting.invert(
            gold, backend=backend, out=out, families=names, n=1, n_tries=2 * len(names), seed=seed
        )
        for task in summary.admitted[:1]:
            made.append(out / task)
            _output.remark(f"   {category}: {task}")
    if len(made) < n:
        raise RejectedError(
            "demo", f"only {len(made)} of {n} categories gave a task; see {out}/rejected.jsonl"
        )
    return made


def _as_promised(found: tuple[Trajectory, ...]) -> bool:
    wanted = {"noop": 0.0, "oracle": 1.0}
    return all(
        one.reward == wanted.get(one.policy, one.reward) and one.exit_status != "error" for one in found
    )

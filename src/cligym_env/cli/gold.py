"""Gold environments: list them, show one, build them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cligym_env import catalog
from cligym_env import gold as golds
from cligym_env.cli import _output
from cligym_env.core import Gold
from cligym_env.errors import CligymError, UsageError
from cligym_env.gold import lock as locks

__all__ = ["app"]

app = typer.Typer(name="gold", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Gold environments: list them, show one, build them."""


@app.command("list")
def list_golds(as_json: _output.JsonOption = False) -> None:
    """List every gold with its source, the number of its passing tests, and where it was built."""
    rows = []
    for name in golds.names():
        gold = golds.load(name)
        lock = _lock(name)
        runs = list(lock.backends.values()) if lock else []
        rows.append(
            {
                "name": name,
                "version": gold.source.version,
                "language": gold.language,
                "licence": gold.licence,
                "n_passing": len(gold.passing),
                "backends": ", ".join(sorted(lock.backends)) if lock else "",
                "suite_s": min((min(run.seconds) for run in runs), default=0.0),
            }
        )
    if as_json:
        _output.json_out(rows)
        return
    columns = ("gold", "version", "language", "licence", "tests", "held on", "suite s")
    _output.table("Golds", columns, [list(row.values()) for row in rows])


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="A gold, or the path of a recipe.")]) -> None:
    """Show a gold as JSON: its recipe, and what its lock says."""
    gold = golds.load(name)
    lock = _lock(name)
    _output.json_out(
        {
            **asdict(gold),
            "lock": asdict(lock) if lock else None,
            "recipe_file": str(golds.recipe_file(name)),
        }
    )


@app.command("build")
def build(
    names: Annotated[list[str] | None, typer.Argument(help="Golds, or paths of recipes.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Build every gold.")] = False,
    backend: Annotated[str, typer.Option("--backend", "-b", help="docker, embedded or auto.")] = "auto",
    n_runs: Annotated[int, typer.Option("--runs", "-k", min=1, help="Runs of the suite.")] = 5,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make images again that are there.")] = False,
    observe: Annotated[bool, typer.Option("--observe", help="Observe the suites again.")] = False,
    as_json: _output.JsonOption = False,
) -> None:
    """Build golds in full: make the image, run the suite several times, write the lock."""
    wanted = golds.names() if every else tuple(names or ())
    if not wanted:
        raise UsageError("name a gold, or say --all; `cligym gold list` lists them")
    engine = catalog.open_backend(backend)
    built: list[tuple[str, Gold]] = []
    failed: list[CligymError] = []
    try:
        for name in wanted:
            try:
                gold = golds.build(name, engine, n_runs=n_runs, fresh=fresh, observe_again=observe)
                built.append((name, gold))
            except CligymError as error:
                if len(wanted) == 1:
                    raise
                _output.remark(f"{name}: {error}")
                failed.append(error)
    finally:
        engine.close()
    _tell(built, engine.name, as_json=as_json)
    if failed:
        raise failed[0]


def _tell(built: list[tuple[str, Gold]], backend: str, *, as_json: bool) -> None:
    rows = []
    for name, gold in built:
        lock = _lock(name)
        runs = lock.backends[backend] if lock and backend in lock.backends else None
        rows.append(
            (gold.name, len(gold.passing), gold.content_hash[:12], list(runs.seconds) if runs else [])
        )
    if as_json:
        _output.json_out(
            [dict(zip(("name", "n_passing", "hash", "seconds"), row, strict=True)) for row in rows]
        )
    else:
        _output.table(f"Built on {backend}", ("gold", "tests", "hash", "seconds of each run"), rows)


def _lock(name: str) -> locks.Lock | None:
    return locks.current(golds.recipe_file(name), golds.load(name))

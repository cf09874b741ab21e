"""Break a gold in many ways, and keep what becomes a task."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from cligym_env import files
from cligym_env import gold as golds
from cligym_env import invert as inverting
from cligym_env.catalog import open_backend
from cligym_env.cli import _output

__all__ = ["app"]

app = typer.Typer()


@app.command("invert")
def invert(
    gold: Annotated[str, typer.Argument(help="Name of a gold, or the path of a recipe.")],
    *,
    n: Annotated[
        int | None, typer.Option("-n", help="Tasks wanted; one for each family if left out.")
    ] = None,
    n_tries: Annotated[int | None, typer.Option("--tries", help="Candidates at most; 4 times -n.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Chooses the inversions.")] = 0,
    family: Annotated[
        list[str] | None, typer.Option("--family", "-f", help="Only this one; repeatable.")
    ] = None,
    backend: Annotated[str, typer.Option("--backend", "-b", help="Where sandboxes run.")] = "auto",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of task folders.")] = None,
    as_json: _output.JsonOption = False,
) -> None:
    """Break a gold in many ways, and keep what becomes a task.

    Without --out they go to the home, where `cligym task list` and `gym.make` find them. The same
    seed gives the same inversions. What is in the folder is not judged again, so a stopped run goes
    on where it was; refused candidates lie in rejected.jsonl with the reason.
    """
    recipe = golds.load(gold)
    out = out or files.home() / "tasks"
    with closing(open_backend(backend)) as engine, _output.progress() as bar:
        line = bar.add_task(f"inverting {recipe.name}", total=n)

        def tell(candidate: inverting.Candidate) -> None:
            bar.update(line, advance=int(candidate.admitted), description=f"last: {candidate.id}")
            if not candidate.admitted:
                _output.remark(f"{candidate.id} refused, {candidate.gate}: {candidate.reason}")

        summary = inverting.invert(
            recipe,
            backend=engine,
            out=out,
            families=tuple(family or ()),
            n=n,
            n_tries=n_tries,
            seed=seed,
            progress=tell,
        )
    _report(summary, out, as_json=as_json)


def _report(summary: inverting.Summary, out: Path, *, as_json: bool) -> None:
    families = summary.by_family()
    if as_json:
        _output.json_out(
            {
                "out": str(out),
                "admitted": list(summary.admitted),
                "n_candidates": len(summary.candidates),
                "share": round(summary.share, 4),
                "families": {
                    name: {"admitted": kept, "tried": tried} for name, (kept, tried) in families.items()
                },
            }
        )
        return
    rows = [(name, kept, tried, f"{kept / tried:.0%}") for name, (kept, tried) in families.items()]
    total = (len(summary.admitted), len(summary.candidates))
    rows.append(("all", *total, f"{summary.share:.0%}"))
    _output.table(f"Admitted to {out}", ("family", "admitted", "tried", "share"), rows)

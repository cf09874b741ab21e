"""Let policies act on tasks, several at once, and write down what they did."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cligym_env import catalog
from cligym_env import collect as collecting
from cligym_env.cli import _output
from cligym_env.cli._policies import policy as named
from cligym_env.core import Trajectory
from cligym_env.errors import UsageError

__all__ = ["app", "report"]

app = typer.Typer()

_MAX_TABLE_TASKS = 40


@app.command("collect")
def collect(
    *,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="A task's id or folder; repeatable.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every task that fits the filters.")] = False,
    gold: Annotated[str | None, typer.Option("--gold", help="With --all: of this gold.")] = None,
    category: Annotated[str | None, typer.Option("--category", help="With --all: of it.")] = None,
    family: Annotated[str | None, typer.Option("--family", help="With --all: of it.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="With --all: train or test.")] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", "-a", help="name or name:key=value,…; repeatable. Default: noop, oracle."),
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="For the policy chat.")] = "",
    base_url: Annotated[str, typer.Option("--base-url", help="For the policy chat.")] = "",
    n_concurrent: Annotated[int, typer.Option("--n-concurrent", "-n", help="Rollouts at once.")] = 4,
    n_attempts: Annotated[int, typer.Option("--n-attempts", "-k", help="Rollouts of each pair.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File of trajectories; runs/<time>/… if left out.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the first attempt.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file of --out.")] = False,
    reward: Annotated[str, typer.Option("--reward", help="sparse or fraction.")] = "sparse",
    guidance: Annotated[int, typer.Option("--guidance", "-g", help="0, 1 or 2.")] = 1,
    hint: Annotated[bool, typer.Option("--hint", help="Tell the hint.")] = False,
    max_turns: Annotated[int, typer.Option("--max-turns", help="Actions an episode.")] = 50,
    turn_timeout: Annotated[float, typer.Option("--turn-timeout", help="Seconds an action.")] = 60.0,
    backend: Annotated[str, typer.Option("--backend", "-b", help="Where sandboxes run.")] = "auto",
    as_json: _output.JsonOption = False,
) -> None:
    """Let policies act on tasks, several at once, and write down what they did.

    A stopped run goes on with --resume. Exits with 1 when the machine failed a rollout.
    """
    names = _tasks(task or (), every, gold=gold, category=category, family=family, split=split)
    policies = [named(text, model=model, base_url=base_url) for text in policy or ("noop", "oracle")]
    place = out or Path("runs") / time.strftime("%Y%m%d-%H%M%S") / "trajectories.jsonl"
    with closing(catalog.open_backend(backend)) as engine, _output.progress() as bar:
        line = bar.add_task("rollouts", total=len(names) * len(policies) * n_attempts)

        def tell(trajectory: Trajectory, n_done: int, n_total: int) -> None:
            bar.update(line, completed=n_done, total=n_total)
            if trajectory.exit_status == "error":
                _output.remark(f"{trajectory.task} {trajectory.policy}: {trajectory.error}")

        found = collecting.collect(
            names,
            policies,
            out=place,
            backend=engine,
            n_attempts=n_attempts,
            n_concurrent=n_concurrent,
            seed=seed,
            resume=resume,
            progress=tell,
            reward=reward,
            guidance=guidance,
            hint=hint,
            max_turns=max_turns,
            turn_timeout_s=turn_timeout,
        )
    report(found, place, as_json=as_json)
    if any(one.exit_status == "error" for one in found):
        raise typer.Exit(1)


def _tasks(names: Sequence[str], every: bool, **filters: str | None) -> list[str]:
    asked = {name: value for name, value in filters.items() if value is not None}
    if bool(names) == (every or bool(asked)):
        raise UsageError("name tasks with -t, or give --all or one of its filters")
    if names:
        return list(names)
    found = list(catalog.list_tasks(**asked))
    if not found:
        raise UsageError(
            "no task fits all of " + ", ".join(f"{name} {value}" for name, value in asked.items())
        )
    return found


def report(collected: Sequence[Trajectory], out: Path, *, as_json: bool = False) -> None:
    """Print what was earned: rewards task by task, and a line for each policy.

    Args:
        collected: the trajectories.
        out: where they were written.
        as_json: one document in place of the tables.
    """
    scores = collecting.scores(collected)
    if as_json:
        rows = [
            {
                "task": one.task,
                "policy": one.policy,
                "seed": one.seed,
                "attempt": one.attempt,
                "reward": one.reward,
                "outcome": one.verdict.outcome if one.verdict else None,
                "exit_status": one.exit_status,
                "n_turns": len(one.turns),
            }
            for one in collected
        ]
        _output.json_out(
            {"out": str(out), "scores": [asdict(score) for score in scores], "trajectories": rows}
        )
        return
    names = list(dict.fromkeys(one.task for one in collected))
    if len(names) <= _MAX_TABLE_TASKS:
        columns = ("task", "category", *(score.policy for score in scores))
        _output.table("Rewards", columns, [_line(name, collected, columns[2:]) for name in names])
    _output.table(
        "Policies",
        ("policy", "rollouts", "errors", "resolved", "reward", "pass@k", "turns"),
        [tuple(asdict(score).values()) for score in scores],
    )
    _output.remark(f"trajectories: {out}")


def _line(task: str, collected: Sequence[Trajectory], policies: Sequence[str]) -> list[object]:
    mine = [one for one in collected if one.task == task]
    cells: list[object] = [task, mine[0].metadata.get("category", "")]
    for policy in policies:
        rewards = [one.reward for one in mine if one.policy == policy and one.exit_status != "error"]
        cells.append(sum(rewards) / len(rewards) if rewards else "error")
    return cells

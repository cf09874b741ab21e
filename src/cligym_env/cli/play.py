"""Sit down at a broken machine and repair it yourself."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from cligym_env import catalog, plugins, trajectories
from cligym_env.cli import _output
from cligym_env.core import Trajectory, Verdict
from cligym_env.envs.repair import RepairEnv
from cligym_env.errors import SandboxError
from cligym_env.rollout import rollout

__all__ = ["app"]

app = typer.Typer()

_MAX_NAMED_TESTS = 10


@app.command("play")
def play(
    task: Annotated[str, typer.Argument(help="The task's id or folder.")],
    *,
    guidance: Annotated[int, typer.Option("--guidance", "-g", help="0, 1 or 2.")] = 1,
    hint: Annotated[bool, typer.Option("--hint", help="Tell the hint at once.")] = False,
    max_turns: Annotated[int, typer.Option("--max-turns", help="Commands at most.")] = 200,
    turn_timeout: Annotated[float, typer.Option("--turn-timeout", help="Seconds a command.")] = 120.0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Append the trajectory to this file.")
    ] = None,
    backend: Annotated[str, typer.Option("--backend", "-b", help="Where the sandbox runs.")] = "auto",
) -> None:
    """Sit down at a broken machine and repair it yourself.

    Works in a pipe too: one command a line, judged at the end. Exits with 1 when it is not repaired.
    """
    found = catalog.task(task)
    with closing(catalog.open_backend(backend)) as engine:
        env = RepairEnv(
            found,
            backend=engine,
            guidance=guidance,
            hint=hint,
            max_turns=max_turns,
            turn_timeout_s=turn_timeout,
        )
        with closing(env):
            trajectory = rollout(env, plugins.create("policies", "human"))
    if out is not None:
        trajectories.append(out, trajectory)
    _report(trajectory)


def _report(trajectory: Trajectory) -> None:
    verdict = trajectory.verdict
    if verdict is None or trajectory.exit_status == "error":
        raise SandboxError(f"no judgement: {trajectory.error}")
    if trajectory.exit_status == "truncated":
        _output.remark("no more turns")
    typer.echo(f"{verdict.outcome}: {verdict.reason}")
    typer.echo(f"reward {trajectory.reward:g} after {len(trajectory.turns)} turns")
    for line in _tests(verdict):
        typer.echo(line)
    if not verdict.resolved:
        raise typer.Exit(1)


def _tests(verdict: Verdict) -> list[str]:
    bad = [f"  {outcome}: {name}" for name, outcome in sorted(verdict.tests.items()) if outcome != "passed"]
    if len(bad) > _MAX_NAMED_TESTS:
        return [*bad[:_MAX_NAMED_TESTS], f"  and {len(bad) - _MAX_NAMED_TESTS} more"]
    return bad

"""ATIF 1.8, the Agent Trajectory Interchange Format that Harbor reads: one JSON file a trajectory.

The format forbids unknown keys; what is ours stands under ``extra.cligym``. Harbor's own check is
``python -m harbor.utils.trajectory_validator FILE``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cligym_env import files
from cligym_env.conversation import SYSTEM, TOOLS, called
from cligym_env.core import Trajectory, Turn
from cligym_env.exporters._select import Selection

__all__ = ["SCHEMA_VERSION", "AtifExporter", "create", "document"]

SCHEMA_VERSION = "ATIF-v1.8"
_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens")


class AtifExporter:
    """Keeps ``core.Exporter``.

    Args:
        selection: which trajectories are written.
    """

    name = "atif"

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def export(self, trajectories: Sequence[Trajectory], out: Path) -> Path:
        """Write a folder, each file whole or not at all; see ``core.Exporter``.

        Raises:
            UsageError: nothing is left to write.
        """
        for trajectory in self._selection.of(trajectories):
            text = json.dumps(document(trajectory), ensure_ascii=False, indent=1)
            files.write_atomic(out / f"{_name(trajectory)}.json", text.encode("utf-8", "replace") + b"\n")
        return out


def document(trajectory: Trajectory) -> dict[str, Any]:
    """Write one trajectory in the words of ATIF."""
    model = trajectory.policy.partition("/")[2]
    agent: dict[str, Any] = {"name": f"cligym/{trajectory.policy.partition('/')[0]}"}
    agent |= {"version": trajectory.version or "0", "tool_definitions": TOOLS}
    if model:
        agent["model_name"] = model
    steps = [
        {"step_id": 1, "source": "system", "message": SYSTEM},
        {"step_id": 2, "source": "user", "message": trajectory.instruction},
        *(_step(number, turn) for number, turn in enumerate(trajectory.turns, 3)),
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "session_id": _name(trajectory),
        "trajectory_id": _name(trajectory),
        "agent": agent,
        "steps": steps,
        "final_metrics": _totals(trajectory, len(steps)),
        "extra": {"cligym": _ours(trajectory)},
    }


def _step(number: int, turn: Turn) -> dict[str, Any]:
    name, arguments = called(turn.call)
    call = {"tool_call_id": f"call_{number}", "function_name": name, "arguments": arguments}
    result = {"source_call_id": call["tool_call_id"], "content": turn.observation}
    step: dict[str, Any] = {"step_id": number, "source": "agent", "message": ""}
    step |= {"tool_calls": [call], "observation": {"results": [result]}}
    if turn.call.thought:
        step["reasoning_content"] = turn.call.thought
    if turn.call.usage:
        step["metrics"] = _metrics(turn.call.usage)
    if turn.exit_code is not None:
        step["extra"] = {"exit_code": turn.exit_code}
    return step


def _metrics(usage: Mapping[str, float]) -> dict[str, Any]:
    told: dict[str, Any] = {name: int(usage[name]) for name in _COUNTS if name in usage}
    if "cost_usd" in usage:
        told["cost_usd"] = usage["cost_usd"]
    rest = {name: value for name, value in usage.items() if name not in (*_COUNTS, "cost_usd")}
    if rest:
        told["extra"] = rest
    return told


def _totals(trajectory: Trajectory, n_steps: int) -> dict[str, Any]:
    totals: dict[str, Any] = {"total_steps": n_steps, "extra": {"reward": trajectory.reward}}
    for name in (*_COUNTS, "cost_usd"):
        values = [turn.call.usage[name] for turn in trajectory.turns if name in turn.call.usage]
        if values:
            totals[f"total_{name}"] = sum(values) if name == "cost_usd" else int(sum(values))
    return totals


def _ours(trajectory: Trajectory) -> dict[str, Any]:
    verdict = trajectory.verdict
    told: dict[str, Any] = {
        name: getattr(trajectory, name)
        for name in (
            "task",
            "policy",
            "seed",
            "attempt",
            "reward",
            "exit_status",
            "backend",
            "error",
            "version",
        )
    }
    told["metadata"] = dict(trajectory.metadata)
    if verdict is not None:
        told["verdict"] = {
            "outcome": str(verdict.outcome),
            "reason": verdict.reason,
            "n_fail_to_pass": verdict.n_fail_to_pass,
            "n_broken": verdict.n_broken,
            "fraction": verdict.fraction,
            "flags": list(verdict.flags),
        }
    return told


def _name(trajectory: Trajectory) -> str:
    """Name a rollout so that no two share a file, whatever is in a policy's name."""
    policy = re.sub(r"[^\w.-]", "-", trajectory.policy)
    if policy != trajectory.policy:
        policy += "-" + hashlib.sha256(trajectory.policy.encode()).hexdigest()[:8]
    return f"{trajectory.task}__{policy}__{trajectory.seed}-{trajectory.attempt}"


def create(
    *, resolved: bool = False, min_turns: int = 0, unflagged: bool = False, errors: bool = True
) -> AtifExporter:
    """Make the exporter.

    Args:
        resolved: only trajectories that repaired their task.
        min_turns: only those of at least so many turns.
        unflagged: only those without a flag.
        errors: also those that a failure of the machine ended.
    """
    return AtifExporter(Selection(resolved, min_turns, unflagged, errors))

"""Episodes: turns, policies, verdicts, trajectories, and what writes them down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

from cligym_env.core.tasks import Task

__all__ = [
    "Call",
    "Exporter",
    "Outcome",
    "Policy",
    "Reward",
    "Trajectory",
    "Turn",
    "Verdict",
]


Reward = Literal["sparse", "fraction"]


class Outcome(StrEnum):
    """The three outcomes; ``error`` is the machine's and is masked, never paid."""

    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one final state.

    Attributes:
        outcome: one of three.
        reason: one line.
        tests: node id → outcome, for the expected tests; empty when it came to no run.
        n_fail_to_pass: how many fail-to-pass tests pass now.
        n_broken: how many pass-to-pass tests do not pass now.
        fraction: repaired share of fail-to-pass minus broken share of pass-to-pass, in [-1, 1].
        flags: suspicious changes that were dropped, as ``<class>: <path>``.
    """

    outcome: Outcome
    reason: str
    tests: Mapping[str, str] = field(default_factory=dict)
    n_fail_to_pass: int = 0
    n_broken: int = 0
    fraction: float = 0.0
    flags: tuple[str, ...] = ()

    @property
    def resolved(self) -> bool:
        """Whether the task is repaired."""
        return self.outcome is Outcome.RESOLVED


@dataclass(frozen=True, slots=True)
class Call:
    """What a policy decided.

    Attributes:
        action: the shell command, or the single word ``submit``.
        thought: reasoning that goes with it; never executed.
        usage: tokens and cost as the policy's server reports them.
    """

    action: str
    thought: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """One action and its observation."""

    call: Call
    observation: str
    exit_code: int | None = None


class Policy(Protocol):
    """Chooses actions; stateless, so that one object serves many rollouts. One file each in ``policies/``.

    ``create(**options)`` of a plug-in gives it. A policy that needs the task's solution takes it
    from ``task``, which every rollout passes.
    """

    name: str

    def act(
        self, instruction: str, history: Sequence[Turn], *, seed: int, task: Task | None = None
    ) -> Call:
        """Choose the next action.

        Args:
            instruction: what the environment told at reset.
            history: the turns so far, oldest first.
            seed: of the episode.
            task: the task at hand, for the policies that may know it (oracle, replay).
        """
        ...


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The record of one rollout.

    Attributes:
        task: the task's id.
        policy: the policy's name.
        seed: of the episode.
        attempt: counts from 0 for one task and seed.
        instruction: what the policy was told.
        turns: what it did and saw.
        reward: as the environment gave it in the end.
        verdict: the judgement; ``None`` only when the episode broke off before one.
        exit_status: ``submitted``, ``truncated`` or ``error``.
        backend: name of the back end.
        error: what broke, for ``error``.
        version: of the package.
    """

    task: str
    policy: str
    seed: int
    attempt: int
    instruction: str
    turns: tuple[Turn, ...]
    reward: float
    verdict: Verdict | None
    exit_status: Literal["submitted", "truncated", "error"]
    backend: str = ""
    error: str = ""
    version: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Exporter(Protocol):
    """Writes trajectories in somebody's format. One file each in ``exporters/``."""

    name: str

    def export(self, trajectories: Sequence[Trajectory], out: Path) -> Path:
        """Write them; the file or folder written."""
        ...

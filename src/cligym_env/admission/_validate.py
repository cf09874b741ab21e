"""Prove an admitted task again: on another machine, another back end, a newer verifier."""

from __future__ import annotations

from dataclasses import dataclass

from cligym_env import tasks
from cligym_env.admission._gates import N_BROKEN
from cligym_env.admission._rig import Rig
from cligym_env.core import Backend, Gold, Task
from cligym_env.errors import ImageError, RejectedError

__all__ = ["N_GOLD", "Validation", "count_gold", "validate"]

N_GOLD = 5


@dataclass(frozen=True, slots=True)
class Validation:
    """What was counted for one task.

    Attributes:
        task: its id.
        backend: the back end's name.
        gold: runs of the gold's suite in which its whole passing set passed, of ``N_GOLD``.
        broken: runs of the broken suite in which exactly the task's fail-to-pass set failed.
        noop: the reward for doing nothing.
        solution: the reward for the solution.
        reason: why it does not hold; empty when it does.
    """

    task: str
    backend: str
    gold: int
    broken: int
    noop: float
    solution: float
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether the task is what it claims to be."""
        counts = (self.gold, self.broken, self.noop, self.solution)
        return counts == (N_GOLD, N_BROKEN, 0.0, 1.0) and not self.reason


def count_gold(gold: Gold, backend: Backend) -> int:
    """Run a gold's suite ``N_GOLD`` times; how often its whole passing set passed."""
    rig = Rig(gold, backend)
    return sum(set(gold.passing) <= rig.run_suite().passed for _ in range(N_GOLD))


def validate(task: Task, gold: Gold, backend: Backend, *, n_gold: int | None = None) -> Validation:
    """Repeat the runs of admission for a task.

    Args:
        task: the task.
        gold: its gold.
        backend: where.
        n_gold: what ``count_gold`` gave for this gold and back end; counted here when left out.

    Returns:
        The counts; a task that cannot be built here counts nothing and says why.

    Raises:
        SandboxError: the machine failed.
    """
    rig = Rig(gold, backend)
    held = count_gold(gold, backend) if n_gold is None else n_gold
    try:
        image = tasks.image(task, gold, backend)
    except (ImageError, RejectedError) as error:
        return Validation(task.id, backend.name, held, 0, 0.0, 0.0, str(error))
    n_same = 0
    for _ in range(N_BROKEN):
        result = rig.run_suite(image)
        failing = tuple(sorted(set(gold.passing) - result.passed))
        n_same += result.complete and failing == task.fail_to_pass
    noop, solution = rig.verdict(task, image), rig.verdict(task, image, task.inversion.solution)
    reasons = []
    if task.gold_hash != gold.content_hash:
        reasons.append("admitted on another gold")
    if held < N_GOLD:
        reasons.append("gold does not hold")
    if n_same < N_BROKEN:
        reasons.append("other tests fail")
    if noop.resolved:
        reasons.append("doing nothing earns 1")
    if not solution.resolved:
        reasons.append(f"solution: {solution.reason}")
    rewards = (float(noop.resolved), float(solution.resolved))
    return Validation(task.id, backend.name, held, n_same, *rewards, "; ".join(reasons))

"""The policy that does what was done before: the actions of a recorded trajectory, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cligym_env import trajectories
from cligym_env.core import Call, Task, Trajectory, Turn
from cligym_env.errors import UsageError

__all__ = ["Replay", "create"]


class Replay:
    """Types the recorded actions of the task at hand.

    Of several trajectories of a task it takes the one with the episode's seed, else the first. A
    record that broke off is followed to its end, then submitted.

    Args:
        recorded: what may be replayed.
    """

    name = "replay"

    def __init__(self, recorded: Sequence[Trajectory]) -> None:
        self._recorded: dict[str, list[Trajectory]] = {}
        for trajectory in recorded:
            self._recorded.setdefault(trajectory.task, []).append(trajectory)

    def act(
        self, instruction: str, history: Sequence[Turn], *, seed: int, task: Task | None = None
    ) -> Call:
        """Give the next recorded action; see ``core.Policy``.

        Raises:
            UsageError: nothing is recorded of this task.
        """
        known = self._recorded.get(task.id if task else "")
        if not known:
            raise UsageError(f"no trajectory of {task.id if task else 'this environment'} is recorded")
        chosen = next((one for one in known if one.seed + one.attempt == seed), known[0])
        if len(history) < len(chosen.turns):
            return chosen.turns[len(history)].call
        return Call("submit")


def create(*, path: str | Path = "") -> Replay:
    """Make the policy.

    Args:
        path: a file of trajectories.

    Raises:
        UsageError: no path, or no trajectory in it.
        RecipeError: not a file of trajectories.
    """
    if not path:
        raise UsageError("the policy replay needs a file of trajectories: path=…")
    recorded = trajectories.read(Path(path).expanduser())
    if not recorded:
        raise UsageError(f"{path}: no trajectory in it")
    return Replay(recorded)

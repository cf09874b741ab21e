"""The policy that knows the solution: types it, then submits."""

from __future__ import annotations

from collections.abc import Sequence

from cligym_env.core import Call, Task, Turn
from cligym_env.errors import UsageError

__all__ = ["Oracle", "create"]


class Oracle:
    """Types the task's own solution, one command a turn."""

    name = "oracle"

    def act(
        self, instruction: str, history: Sequence[Turn], *, seed: int, task: Task | None = None
    ) -> Call:
        """Give the next command of the solution; see ``core.Policy``.

        Raises:
            UsageError: there is no task to take a solution from.
        """
        if task is None:
            raise UsageError("the oracle types a task's solution: give it a repair environment")
        commands = task.inversion.solution
        return Call(commands[len(history)] if len(history) < len(commands) else "submit")


def create() -> Oracle:
    """Make the policy."""
    return Oracle()

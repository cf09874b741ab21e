"""Break a gold with a known inversion: types its commands, tells solution and hint, submits."""

from __future__ import annotations

from collections.abc import Sequence

from cligym_env.core import Call, Inversion, Task, Turn
from cligym_env.errors import UsageError

__all__ = ["ScriptedBreaker", "create"]


class ScriptedBreaker:
    """Replays one inversion as the actions of a ``BreakerEnv``.

    Args:
        inversion: what to replay.
    """

    name = "scripted-breaker"

    def __init__(self, inversion: Inversion) -> None:
        self._actions = (
            *inversion.commands,
            f"hint {inversion.hint}",
            *(f"solution {command}" for command in inversion.solution),
            "submit",
        )

    @property
    def n_turns(self) -> int:
        """How many actions it takes, ``submit`` among them."""
        return len(self._actions)

    def act(
        self, instruction: str, history: Sequence[Turn], *, seed: int, task: Task | None = None
    ) -> Call:
        """Give the next action of the script; see ``core.Policy``."""
        place = min(len(history), len(self._actions) - 1)
        return Call(self._actions[place])


def create(*, inversion: Inversion | None = None) -> ScriptedBreaker:
    """Give the policy.

    Raises:
        UsageError: there is no inversion to replay.
    """
    if inversion is None:
        raise UsageError("the policy 'scripted-breaker' needs an inversion to replay")
    return ScriptedBreaker(inversion)

"""The policy that does nothing: submits at once. What it earns, a task gives away."""

from __future__ import annotations

from collections.abc import Sequence

from cligym_env.core import Call, Task, Turn

__all__ = ["Noop", "create"]


class Noop:
    """Submits."""

    name = "noop"

    def act(
        self, instruction: str, history: Sequence[Turn], *, seed: int, task: Task | None = None
    ) -> Call:
        """Submit; see ``core.Policy``."""
        return Call("submit")


def create() -> Noop:
    """Make the policy."""
    return Noop()

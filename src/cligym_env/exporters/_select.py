"""Which trajectories an export takes: the same questions for every format."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cligym_env.core import Trajectory
from cligym_env.errors import UsageError

__all__ = ["Selection", "beside"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a trajectory must be to be exported.

    Attributes:
        resolved: only those that repaired their task.
        min_turns: only those of at least so many turns; the published recipe drops those under 20.
        unflagged: only those whose verdict flags no suspicious change.
        errors: also those that a failure of the machine ended; they carry no verdict to learn from.
    """

    resolved: bool = False
    min_turns: int = 0
    unflagged: bool = False
    errors: bool = False

    def of(self, trajectories: Sequence[Trajectory]) -> list[Trajectory]:
        """Give those that fit, in their order.

        Raises:
            UsageError: none does; says why they were left out.
        """
        reasons: dict[str, int] = {}
        taken: list[Trajectory] = []
        for trajectory in trajectories:
            reason = self._against(trajectory)
            if reason:
                reasons[reason] = reasons.get(reason, 0) + 1
            else:
                taken.append(trajectory)
        if not taken:
            why = ", ".join(f"{n} {reason}" for reason, n in reasons.items()) or "there are none"
            raise UsageError(f"no trajectory to export: {why}")
        return taken

    def _against(self, trajectory: Trajectory) -> str:
        verdict = trajectory.verdict
        if trajectory.exit_status == "error" and not self.errors:
            return "ended by an error"
        if self.resolved and not (verdict and verdict.resolved):
            return "not resolved"
        if len(trajectory.turns) < self.min_turns:
            return f"under {self.min_turns} turns"
        if self.unflagged and verdict and verdict.flags:
            return "flagged"
        return ""


@contextmanager
def beside(out: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder, and rename it to ``out`` when all went well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        path = Path(folder) / out.name
        yield path
        os.replace(path, out)

"""Trajectories on disk: one JSON row each, appended so that a killed run loses none.

Rows describe themselves: schema number, package version, task, policy, seed and attempt. Where a
run was resumed after a failure of the machine, the later row of a key counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cligym_env import files
from cligym_env.core import Call, Outcome, Trajectory, Turn, Verdict
from cligym_env.errors import RecipeError

__all__ = ["SCHEMA", "Key", "append", "from_dict", "key", "read", "to_dict"]

SCHEMA = 1

Key = tuple[str, str, int, int]
"""Task, policy, seed, attempt."""


def key(trajectory: Trajectory) -> Key:
    """Give what tells one rollout from another."""
    return (trajectory.task, trajectory.policy, trajectory.seed, trajectory.attempt)


def to_dict(trajectory: Trajectory) -> dict[str, Any]:
    """Turn a trajectory into plain values that JSON can hold."""
    return {"schema": SCHEMA, **asdict(trajectory)}


def from_dict(row: Mapping[str, Any]) -> Trajectory:
    """Turn plain values into the trajectory they came from.

    Raises:
        KeyError: a field is missing.
        TypeError: a field is of another type, or unknown.
        ValueError: of another schema.
    """
    if row["schema"] != SCHEMA:
        raise ValueError(f"a trajectory of schema {SCHEMA} is expected, not of {row['schema']!r}")
    fields = {name: value for name, value in row.items() if name != "schema"}
    turns = tuple(Turn(**{**turn, "call": Call(**turn["call"])}) for turn in fields["turns"])
    verdict = fields["verdict"]
    if verdict is not None:
        told = {"outcome": Outcome(verdict["outcome"]), "flags": tuple(verdict["flags"])}
        fields["verdict"] = Verdict(**{**verdict, **told})
    return Trajectory(**{**fields, "turns": turns})


def append(path: Path, trajectory: Trajectory) -> None:
    """Append one row; when the call returns it is on the disk.

    Raises:
        OSError: for example a full disk; the row is not there then.
    """
    files.append_row(path, to_dict(trajectory))


def read(paths: Path | Iterable[Path]) -> tuple[Trajectory, ...]:
    """Read files of trajectories, in the order written; of equal keys the last counts.

    Args:
        paths: one file, or several; a line that a killed writer left torn is passed over.

    Raises:
        RecipeError: a file that is not there, or a row that is no trajectory.
    """
    found: dict[Key, Trajectory] = {}
    for path in [paths] if isinstance(paths, Path) else paths:
        if not path.is_file():
            raise RecipeError(path, "", "expected a file of trajectories")
        for number, row in enumerate(files.read_rows(path), 1):
            try:
                trajectory = from_dict(row)
            except (KeyError, TypeError, ValueError) as error:
                what = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise RecipeError(path, f"row {number}", f"expected a trajectory: {what}") from error
            found[key(trajectory)] = trajectory
    return tuple(found.values())

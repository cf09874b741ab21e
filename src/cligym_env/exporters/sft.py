"""Rows for supervised fine-tuning: parquet that TRL's SFTTrainer takes with no conversion.

One row for a trajectory. ``messages`` and ``tools`` are JSON features: with plain structs, arguments
of different keys would be merged and the model trained on nulls. Needs the extra ``data``.

======================  ==================================================================
``messages``            system, user, then assistant (one tool call) and tool in turn; the
                        arguments are a dict, reasoning is in ``reasoning_content``
``tools``               what the model was offered
``task`` … ``attempt``  which rollout it is
``reward`` … ``flags``  how it ended
``n_turns``             number of actions
``n_tokens``            of the whole conversation by the tokenizer given; -1 without one
``schema``, ``version`` of these columns, and of the package that made the trajectory
======================  ==================================================================

``SFTTrainer`` cuts what is longer than its ``max_length``, at the end, where the repair is: give
``max_tokens`` and the tokenizer here to leave such rows out instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cligym_env.conversation import TOOLS, messages
from cligym_env.core import Trajectory
from cligym_env.errors import UsageError
from cligym_env.exporters._select import Selection, beside

__all__ = ["SCHEMA", "SftExporter", "create"]

SCHEMA = 1


class SftExporter:
    """Keeps ``core.Exporter``.

    Args:
        selection: which trajectories become rows.
        max_tokens: longer conversations are left out.
        tokenizer: name or folder of a tokenizer with a chat template.
    """

    name = "sft"

    def __init__(self, selection: Selection, *, max_tokens: int | None = None, tokenizer: str = "") -> None:
        self._selection = selection
        self._max_tokens = max_tokens
        self._tokenizer = tokenizer

    def export(self, trajectories: Sequence[Trajectory], out: Path) -> Path:
        """Write one parquet file, whole or not at all; see ``core.Exporter``.

        Raises:
            UsageError: nothing is left to write, or the extra is missing.
        """
        datasets = _datasets()
        count = self._counter()
        rows = [_row(trajectory, count) for trajectory in self._selection.of(trajectories)]
        if self._max_tokens is not None:
            rows = [row for row in rows if row["n_tokens"] <= self._max_tokens]
            if not rows:
                raise UsageError(f"no trajectory to export: all are longer than {self._max_tokens} tokens")
        table = datasets.Dataset.from_list(rows, features=_features(datasets))
        with beside(out) as path, _no_bars(datasets):
            table.to_parquet(path)
        return out

    def _counter(self) -> Callable[[list[dict[str, Any]]], int]:
        if not self._tokenizer:
            return lambda _: -1
        try:
            from transformers import AutoTokenizer  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise UsageError("counting tokens needs an extra: pip install 'cligym-env[train]'") from error
        try:
            tokenizer = AutoTokenizer.from_pretrained(self._tokenizer)
        except (OSError, ValueError) as error:
            raise UsageError(f"no tokenizer in {self._tokenizer}: {error}") from error

        def count(conversation: list[dict[str, Any]]) -> int:
            ids = tokenizer.apply_chat_template(conversation, tools=TOOLS, return_dict=False)
            return len(ids)

        return count


def _row(trajectory: Trajectory, count: Callable[[list[dict[str, Any]]], int]) -> dict[str, Any]:
    gold, _, rest = trajectory.task.partition(".")
    verdict = trajectory.verdict
    conversation = messages(trajectory.instruction, trajectory.turns)
    return {
        "messages": conversation,
        "tools": TOOLS,
        "task": trajectory.task,
        "gold": gold,
        "category": str(trajectory.metadata.get("category", "")),
        "family": rest.rpartition(".")[0],
        "policy": trajectory.policy,
        "seed": trajectory.seed,
        "attempt": trajectory.attempt,
        "reward": float(trajectory.reward),
        "resolved": bool(verdict and verdict.resolved),
        "exit_status": trajectory.exit_status,
        "flags": list(verdict.flags) if verdict else [],
        "n_turns": len(trajectory.turns),
        "n_tokens": count(conversation),
        "schema": SCHEMA,
        "version": trajectory.version,
    }


def _datasets() -> Any:
    try:
        import datasets  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise UsageError("the exporter sft needs an extra: pip install 'cligym-env[data]'") from error
    return datasets


@contextmanager
def _no_bars(datasets: Any) -> Iterator[None]:
    """A file that is written at once needs no progress bar on somebody's terminal."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _features(datasets: Any) -> Any:
    text, number, whole = (datasets.Value(kind) for kind in ("string", "float64", "int64"))
    return datasets.Features(
        {
            "messages": datasets.List(datasets.Json()),
            "tools": datasets.List(datasets.Json()),
            **dict.fromkeys(("task", "gold", "category", "family", "policy"), text),
            **dict.fromkeys(("seed", "attempt"), whole),
            "reward": number,
            "resolved": datasets.Value("bool"),
            "exit_status": text,
            "flags": datasets.List(text),
            **dict.fromkeys(("n_turns", "n_tokens", "schema"), whole),
            "version": text,
        }
    )


def create(
    *,
    resolved: bool = False,
    min_turns: int = 0,
    unflagged: bool = False,
    max_tokens: int | None = None,
    tokenizer: str = "",
) -> SftExporter:
    """Make the exporter.

    Args:
        resolved: only trajectories that repaired their task.
        min_turns: only those of at least so many turns.
        unflagged: only those without a flag.
        max_tokens: only those of at most so many tokens; needs ``tokenizer``.
        tokenizer: name or folder of a tokenizer with a chat template.

    Raises:
        UsageError: ``max_tokens`` without ``tokenizer``.
    """
    if max_tokens is not None and not tokenizer:
        raise UsageError("max_tokens needs a tokenizer to count with: tokenizer=…")
    selection = Selection(resolved=resolved, min_turns=min_turns, unflagged=unflagged)
    return SftExporter(selection, max_tokens=max_tokens, tokenizer=tokenizer)

"""Tasks: the inversions they are made of, and the fault families those come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Literal, Protocol

from cligym_env.core.machines import Entry, Sandbox
from cligym_env.core.repositories import Gold

__all__ = [
    "CATEGORIES",
    "FaultFamily",
    "Inversion",
    "PathState",
    "Task",
]


CATEGORIES = (
    "file-system",
    "infrastructure",
    "dependencies-runtime",
    "network-security",
    "source-logic",
    "compatibility",
    "concurrency",
    "other",
)
"""The eight categories of arXiv 2602.10999, table 2."""


@dataclass(frozen=True, slots=True)
class Inversion:
    """A replayable list of shell commands that breaks a gold, and its way back.

    Attributes:
        gold: name of the gold.
        family: the fault family it comes from.
        category: one of ``CATEGORIES``.
        commands: typed as root into one shell of a gold sandbox, in order.
        solution: typed as root into one shell of the BROKEN sandbox, without network, in order;
            uses only what is found there.
        hint: one sentence that points at the cause without naming the path or the command.
        parameters: what was drawn for it, for records.
    """

    gold: str
    family: str
    category: str
    commands: tuple[str, ...]
    solution: tuple[str, ...]
    hint: str
    parameters: Mapping[str, str] = field(default_factory=dict)


class FaultFamily(Protocol):
    """One way to break. One file each in ``faults/<category>/``."""

    name: str
    category: str

    def propose(self, gold: Gold, sandbox: Sandbox, rng: Random) -> Iterator[Inversion]:
        """Yield inversions for a gold, the most promising first; nothing where it does not fit.

        Args:
            gold: with the ``usage`` its tests were seen to have.
            sandbox: a running gold sandbox to look around in, never to change.
            rng: the only source of chance; equal seeds propose equal inversions.
        """
        ...


@dataclass(frozen=True, slots=True)
class PathState:
    """One path an inversion touched: how gold has it, and how the broken environment has it."""

    path: str
    gold: Entry
    broken: Entry


@dataclass(frozen=True, slots=True)
class Task:
    """A validated repair task. It is text: its image is built from it on first use.

    Attributes:
        id: ``<gold>.<family>.<8 hex digits>``; no ``:``, ``/``, and no trailing ``-v<n>``.
        inversion: what broke it, with the solution.
        seed: the breaker's seed.
        fail_to_pass: node ids that pass in gold and fail in the broken environment, sorted.
        n_pass_to_pass: the other passing ids of the gold, all of which guard.
        paths: every path the inversion changed; the only ones a repair may need to touch.
        symptoms: the failure output the instruction quotes.
        split: ``train`` or ``test``.
        gold_hash: ``content_hash`` of the gold it was validated on.
        gates: name of each admission gate → what it measured.
        version: of the package that admitted it.
    """

    id: str
    inversion: Inversion
    seed: int
    fail_to_pass: tuple[str, ...]
    n_pass_to_pass: int
    paths: tuple[PathState, ...]
    symptoms: str
    split: Literal["train", "test"]
    gold_hash: str
    gates: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    @property
    def gold(self) -> str:
        """Name of the gold."""
        return self.inversion.gold

    @property
    def category(self) -> str:
        """One of ``CATEGORIES``."""
        return self.inversion.category

    @property
    def family(self) -> str:
        """The fault family."""
        return self.inversion.family

"""No cheat is paid, every honest ending earns what it should, on every back end with a real kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cheaters.corpus import CHEATS, HONEST, Cheat, Cheater, Honest
from cheaters.scenarios import Bench
from cligym_env import gold as golds
from cligym_env.core import Backend, Outcome, Trajectory
from cligym_env.envs.repair import RepairEnv
from cligym_env.rollout import rollout
from cligym_env.verify import _screen

SHORT_S = 60.0
"""Deadline of the suite where a cheat hangs it."""


@pytest.fixture(scope="session")
def bench() -> Callable[[Backend], Bench]:
    """The hand-made tasks of each back end, made once."""
    made: dict[str, Bench] = {}

    def get(backend: Backend) -> Bench:
        if backend.name not in made:
            made[backend.name] = Bench(backend)
        return made[backend.name]

    return get


def play(ending: Cheat | Honest, bench: Bench) -> Trajectory:
    env = RepairEnv(bench.task(ending.scenario), backend=bench.backend, turn_timeout_s=300)
    try:
        return rollout(env, Cheater(ending.name, ending.commands))
    finally:
        env.close()


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.name)
def test_no_cheat_is_paid(
    cheat: Cheat,
    real_backend: Backend,
    bench: Callable[[Backend], Bench],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = bench(real_backend)
    if cheat.name.endswith("hangs"):
        at.task(cheat.scenario)
        monkeypatch.setattr(golds, "load", lambda name: replace(at.gold, timeout_s=SHORT_S))
    played = play(cheat, at)
    assert played.verdict is not None, played.error
    assert played.verdict.outcome is Outcome.UNRESOLVED, played.verdict.reason
    assert played.reward == 0
    assert played.verdict.fraction <= 0


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_honest_endings_earn_what_they_should(
    honest: Honest, real_backend: Backend, bench: Callable[[Backend], Bench]
) -> None:
    played = play(honest, bench(real_backend))
    assert played.verdict is not None, played.error
    wanted = Outcome.RESOLVED if honest.resolved and honest.accepted else Outcome.UNRESOLVED
    assert played.verdict.outcome is wanted, played.verdict.reason
    assert played.reward == (1 if wanted is Outcome.RESOLVED else 0)


@pytest.mark.parametrize(
    "cheat",
    [cheat for cheat in CHEATS if cheat.name.startswith("same-file") and "machine" not in cheat.kind],
    ids=lambda cheat: cheat.name,
)
def test_without_the_screen_the_control_runs_still_hold(
    cheat: Cheat,
    machines: Callable[[str], Backend],
    bench: Callable[[Backend], Bench],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_screen, "objection", lambda source, gold: "")
    played = play(cheat, bench(machines("embedded")))
    assert played.verdict is not None, played.error
    assert played.verdict.outcome is Outcome.UNRESOLVED
    assert played.verdict.fraction <= 0


def test_half_a_repair_earns_a_fraction(real_backend: Backend, bench: Callable[[Backend], Bench]) -> None:
    half = next(honest for honest in HONEST if honest.name == "half")
    verdict = play(half, bench(real_backend)).verdict
    assert verdict is not None
    assert 0 < verdict.fraction < 1


def test_the_corpus_is_wide() -> None:
    assert len(CHEATS) >= 30
    assert len({cheat.kind for cheat in CHEATS}) >= 12
    assert len({cheat.name for cheat in CHEATS}) == len(CHEATS)

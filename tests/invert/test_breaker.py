"""Breaking end to end: the env, the scripted breaker, families of a real gold, folders that hold."""

from __future__ import annotations

import json

import pytest
from gymnasium.utils.env_checker import check_env

from cligym_env import admission, files, plugins, tasks
from cligym_env import gold as golds
from cligym_env.core import Inversion, Outcome
from cligym_env.envs.breaker import BreakerEnv
from cligym_env.errors import EpisodeError, UnknownNameError, UsageError
from cligym_env.invert import REJECTED, candidates, invert
from cligym_env.rollout import rollout

FEW = "sed -i 's/partial_idx + 2/partial_idx + 1/' h11/_receivebuffer.py"
FEW_BACK = "sed -i 's/partial_idx + 1/partial_idx + 2/' h11/_receivebuffer.py"
INVERSION = Inversion("h11", "by-hand", "source-logic", (FEW,), (FEW_BACK,), "A line ends too early.")


@pytest.fixture(scope="module")
def gold():
    return golds.load("h11")


@pytest.fixture(scope="module")
def backend(machines):
    return machines("embedded")


@pytest.fixture
def env(gold, backend):
    made = BreakerEnv(gold, backend=backend, family="by-hand", category="source-logic")
    yield made
    made.close()


def play(env, *actions):
    env.reset(seed=7)
    for action in actions:
        step = env.step(action)
    return step


def test_check_env(env):
    check_env(env, skip_render_check=True)


def test_the_instruction_tells_what_is_judged(env):
    text, info = env.reset(seed=1)
    assert info["gold"] == "h11"
    for word in ("solution <command>", "hint <sentence>", "submit", "runuser dev", *admission.GATES):
        assert word in text


@pytest.mark.slow
def test_an_admitted_break_earns_1(env):
    _, reward, terminated, truncated, info = play(
        env, "ls", "cat /nowhere", FEW, f"solution {FEW_BACK}", "hint A line ends too early.", "submit"
    )
    assert (reward, terminated, truncated) == (1.0, True, False), info["verdict"]
    task = info["task"]
    assert task is env.task
    assert task.inversion.commands == ("ls", FEW)  # what failed is no part of it
    assert task.inversion.solution == (FEW_BACK,)
    assert (task.family, task.category, task.seed) == ("by-hand", "source-logic", 7)


def test_what_is_told_is_not_run(env):
    env.reset(seed=1)
    observation, _, _, _, info = env.step("solution touch /opt/told")
    assert "recorded" in observation and info["exit_code"] == 0
    assert env.step("hint touch /opt/told")[4]["exit_code"] == 0
    assert env.step("ls /opt/told")[4]["exit_code"] != 0
    # Without anything behind them they are words like others.
    assert env.step("solution")[4]["exit_code"] != 0


@pytest.mark.parametrize(
    ("actions", "gate"),
    [
        (["submit"], "replay"),
        ([FEW, "hint x", "submit"], "solution"),
        (["echo x > /tmp/x", "solution true", "hint x", "submit"], "paths"),
        (["rm h11/tests/test_io.py", "solution true", "hint x", "submit"], "paths"),
    ],
)
def test_a_refused_break_earns_0_and_says_why(env, actions, gate):
    _, reward, terminated, _, info = play(env, *actions)
    assert (reward, terminated) == (0.0, True)
    assert info["task"] is None
    assert info["verdict"].outcome is Outcome.UNRESOLVED
    assert info["verdict"].reason.startswith(gate)
    assert env.rejection.gate == gate


def test_fraction_is_the_share_of_gates(gold, backend):
    env = BreakerEnv(gold, backend=backend, reward="fraction")
    try:
        _, reward, _, _, _ = play(env, "echo x > /tmp/x", "solution true", "hint x", "submit")
    finally:
        env.close()
    assert 0 < reward < 1


def test_truncation_is_judged(gold, backend):
    env = BreakerEnv(gold, backend=backend, max_turns=1)
    try:
        _, reward, terminated, truncated, info = play(env, "true")
    finally:
        env.close()
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["verdict"].outcome is Outcome.UNRESOLVED
    assert info["task"] is None


def test_bad_arguments(gold, backend, env):
    with pytest.raises(UnknownNameError, match="h11"):
        BreakerEnv("h12", backend=backend)
    with pytest.raises(UsageError, match="category"):
        BreakerEnv(gold, backend=backend, category="fun")
    with pytest.raises(EpisodeError):
        env.step("true")
    with pytest.raises(UsageError, match="option"):
        env.reset(options={"guidance": 1})


def test_the_scripted_breaker_needs_an_inversion():
    with pytest.raises(UsageError, match="inversion"):
        plugins.create("policies", "scripted-breaker")


def test_the_scripted_breaker_types_everything_and_submits():
    breaker = plugins.create("policies", "scripted-breaker", inversion=INVERSION)
    history = []
    typed = []
    for _ in range(breaker.n_turns + 2):
        call = breaker.act("", history, seed=0)
        history.append(call)
        typed.append(call.action)
    assert typed == [
        FEW,
        "hint A line ends too early.",
        f"solution {FEW_BACK}",
        "submit",
        "submit",
        "submit",
    ]


@pytest.mark.slow
def test_a_rollout_of_the_scripted_breaker(gold, backend):
    breaker = plugins.create("policies", "scripted-breaker", inversion=INVERSION)
    env = BreakerEnv(gold, backend=backend, family="by-hand", category="source-logic")
    try:
        trajectory = rollout(env, breaker, seed=3)
    finally:
        env.close()
    assert trajectory.reward == 1.0
    assert trajectory.exit_status == "submitted"
    assert env.task.inversion == INVERSION


def first(gold, backend, family, seed, n=3):
    stream = candidates(gold, families=[family], seed=seed, backend=backend)
    try:
        return [inversion for inversion, _ in zip(stream, range(n), strict=False)]
    finally:
        stream.close()


def test_the_same_seed_gives_the_same_inversions(gold, backend):
    assert first(gold, backend, "comparison", 1) == first(gold, backend, "comparison", 1)
    assert first(gold, backend, "comparison", 1) != first(gold, backend, "comparison", 2)


@pytest.mark.slow
def test_inverting_end_to_end_and_going_on(gold, backend, tmp_path, monkeypatch):
    told = []
    summary = invert(
        gold,
        backend=backend,
        out=tmp_path,
        families=["comparison"],
        n=1,
        n_tries=6,
        seed=2,
        progress=told.append,
    )
    assert list(summary.candidates) == told
    assert len(summary.admitted) == 1
    folder = tmp_path / summary.admitted[0]
    task = tasks.read(folder)
    assert (
        sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= tasks.MAX_FOLDER_BYTES
    )
    refused = list(files.read_rows(tmp_path / REJECTED))
    assert [row["id"] for row in refused] == [one.id for one in told if not one.admitted]
    assert all(row["gate"] in admission.GATES and row["reason"] for row in refused)
    assert summary.by_family() == {"comparison": (1, len(told))}
    assert admission.validate(task, gold, backend, n_gold=admission.N_GOLD).holds

    def never(*args, **kwargs):
        raise AssertionError("judged again")

    monkeypatch.setattr("cligym_env.admission.admit", never)
    again = invert(gold, backend=backend, out=tmp_path, families=["comparison"], n=1, n_tries=6, seed=2)
    assert again.admitted == summary.admitted
    assert all(one.known for one in again.candidates)


def test_bad_counts_and_families(gold, backend, tmp_path):
    with pytest.raises(UsageError, match="at least 1"):
        invert(gold, backend=backend, out=tmp_path, n=0)
    with pytest.raises(UnknownNameError, match="comparison"):
        invert(gold, backend=backend, out=tmp_path, families=["comparisons"])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_commands(gold, tmp_path, capsys, machines):
    from cligym_env.cli import main

    machines("embedded")
    common = ["--backend", "embedded", "--json"]
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "invert",
                "h11",
                "-n",
                "1",
                "--tries",
                "6",
                "-f",
                "comparison",
                "--seed",
                "2",
                "-o",
                str(tmp_path),
                *common,
            ]
        )
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["admitted"]) == 1
    folder = str(tmp_path / report["admitted"][0])
    with pytest.raises(SystemExit) as ended:
        main(["validate", folder, *common])
    assert ended.value.code == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["holds"] and (row["gold"], row["broken"]) == (5, 3)
    with pytest.raises(SystemExit):
        main(["task", "show", folder, "--hint", "--solution"])
    shown = capsys.readouterr().out
    assert "Repaired by" in shown and "Hint:" in shown

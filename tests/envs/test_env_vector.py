"""Vectors of environments: ours in threads says what Gymnasium's say, in every mode."""

from __future__ import annotations

import threading

import gymnasium
import numpy as np
import pytest
from env_samples import ToyEnv, judge
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import cligym_env
from cligym_env.core import Outcome
from cligym_env.envs.vector import ThreadVectorEnv
from cligym_env.errors import ActionError, EpisodeError, SandboxError, SandboxLostError, UsageError

MODES = list(AutoresetMode)
N = 3


def vector(kind, fake, mode=AutoresetMode.NEXT_STEP, **more):
    settings = {"max_turns": 3}
    return kind([lambda: ToyEnv(fake, **settings)] * N, autoreset_mode=mode, **more)


def played(envs, script):
    """What a vector says to a script of actions; ``None`` stands for a masked reset of all that is over."""
    told = [envs.reset(seed=7)]
    over = np.zeros(N, dtype=np.bool_)
    for actions in script:
        if actions is None:
            told.append(envs.reset(options={"reset_mask": over}))
        else:
            told.append(envs.step(actions))
            over = told[-1][2] | told[-1][3]
    envs.close()
    return told


SCRIPT = [
    ("cat state", "echo é ✓ > state; cat state", "cd /; pwd"),
    ("submit", "true", "false"),
    ("pwd", "cat state", "echo last"),
    ("echo right > state", "pwd", "pwd"),
    ("submit", "submit", "pwd"),
]
DISABLED = [SCRIPT[0], SCRIPT[1], None, SCRIPT[2], None, SCRIPT[3], SCRIPT[4]]


def plain(value):
    """Arrays as lists, so that whole answers can be compared."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return tuple(plain(one) for one in value)
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("kind", [ThreadVectorEnv, AsyncVectorEnv], ids=lambda kind: kind.__name__)
def test_all_kinds_say_what_the_plain_one_says(kind, mode, fake):
    script = DISABLED if mode is AutoresetMode.DISABLED else SCRIPT
    expected = played(vector(SyncVectorEnv, fake, mode), script)
    assert plain(played(vector(kind, fake, mode), script)) == plain(expected)
    assert any("é ✓" in text for told in expected for text in told[0])


def test_async_without_shared_memory_says_the_same(fake):
    expected = played(vector(SyncVectorEnv, fake), SCRIPT)
    assert plain(played(vector(AsyncVectorEnv, fake, shared_memory=False), SCRIPT)) == plain(expected)


def test_async_without_copies_gives_a_view(fake):
    envs = vector(AsyncVectorEnv, fake, copy=False)
    observations, _ = envs.reset()
    assert list(observations) == ["make it right"] * N
    envs.step(("echo one", "echo two", "echo three"))
    assert [text.split("\n")[0] for text in observations] == ["one", "two", "three"]
    envs.close()


@pytest.fixture
def task(monkeypatch, fake):
    """A registered task whose environments run on the fake."""
    where = "cligym_env.envs.repair"
    monkeypatch.setattr(f"{where}.golds.image", lambda gold, backend: backend.find("base"))
    monkeypatch.setattr(f"{where}.tasks.image", lambda task, gold, backend: backend.find("base"))
    monkeypatch.setattr(f"{where}.verify", lambda task, gold, snapshot, backend: judge(b"wrong\n"))
    monkeypatch.setattr("cligym_env.catalog.shared_backend", lambda name="auto": fake)
    return f"CLIGym/{cligym_env.list_tasks()[0]}"


@pytest.mark.parametrize(
    ("mode", "kind"),
    [(None, ThreadVectorEnv), ("vector_entry_point", ThreadVectorEnv), ("sync", SyncVectorEnv),
     ("async", AsyncVectorEnv)],
)  # fmt: skip
def test_make_vec(task, mode, kind):
    envs = gymnasium.make_vec(task, num_envs=N, vectorization_mode=mode, max_turns=9, hint=True)
    assert isinstance(envs.unwrapped, kind)
    observations, infos = envs.reset(seed=1)
    assert observations in envs.observation_space
    assert all(text.startswith("The test suite of") and "Hint: " in text for text in observations)
    assert infos["hint"].all()
    observations, rewards, terminations, _, infos = envs.step(("echo ünï", "submit", "echo three"))
    assert observations[0] == "ünï\n[exit code 0; turn 1 of 9]"
    assert (rewards.tolist(), terminations.tolist()) == ([0.0] * N, [False, True, False])
    assert infos["verdict"][1].outcome is Outcome.UNRESOLVED and infos["verdict"][0] is None
    assert envs.action_space.sample() in envs.action_space
    assert envs.spec.id == task
    envs.close()


@pytest.mark.parametrize("mode", [None, "sync", "async"])
def test_make_vec_of_breakers(monkeypatch, fake, mode):
    where = "cligym_env.envs.breaker"
    monkeypatch.setattr(f"{where}.golds.image", lambda gold, backend: backend.find("base"))
    monkeypatch.setattr(f"{where}.shared_backend", lambda name="auto": fake)
    envs = gymnasium.make_vec("CLIGym/break.h11", num_envs=2, vectorization_mode=mode)
    observations, _ = envs.reset(seed=1)
    assert all("Break the environment" in text for text in observations)
    observations, *_ = envs.step(("solution echo back", "echo ünï"))
    assert observations[0].startswith("[solution command 1 recorded]")
    assert observations[1].startswith("ünï\n")
    envs.close()


def test_settings_of_the_vector_go_through_make_vec(task):
    envs = gymnasium.make_vec(task, num_envs=2, autoreset_mode="SameStep", n_workers=1, mask_errors=True)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    envs.close()


# ── what cannot be done ─────────────────────────────────────────────────────────────────────


def test_actions_that_do_not_fit_move_nothing(fake):
    envs = vector(ThreadVectorEnv, fake)
    envs.reset()
    for actions, error in (
        ("submit", UsageError),
        (("a", "b"), UsageError),
        (("true", "true", "x\0"), ActionError),
        (("true", None, "true"), ActionError),
    ):
        with pytest.raises(error):
            envs.step(actions)
    assert envs.step(["true"] * N)[4]["turn"].tolist() == [1] * N
    envs.close()


def test_misuse(fake):
    for settings in ({"n_workers": 0},):
        with pytest.raises(UsageError):
            vector(ThreadVectorEnv, fake, **settings)
    with pytest.raises(UsageError):
        ThreadVectorEnv([])
    with pytest.raises(UsageError, match="equal spaces"):
        ThreadVectorEnv([lambda: ToyEnv(fake), lambda: ToyEnv(fake, max_observation_chars=2_000)])
    envs = vector(ThreadVectorEnv, fake)
    with pytest.raises(EpisodeError):
        envs.step(["true"] * N)
    for mask in ([True] * N, np.zeros(N, dtype=np.bool_), np.ones(N + 1, dtype=np.bool_), np.ones(N)):
        with pytest.raises(UsageError, match="reset_mask"):
            envs.reset(options={"reset_mask": mask})
    with pytest.raises(UsageError, match="seeds"):
        envs.reset(seed=[1])
    envs.close()
    envs.close()
    for call in (envs.reset, lambda: envs.step(["true"] * N)):
        with pytest.raises(EpisodeError, match="closed"):
            call()


def test_disabled_refuses_before_anything_moves(fake):
    envs = vector(ThreadVectorEnv, fake, AutoresetMode.DISABLED)
    envs.reset()
    envs.step(("submit", "true", "true"))
    with pytest.raises(EpisodeError, match="episodes of 0 are over"):
        envs.step(["true"] * N)
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    assert envs.step(["true"] * N)[4]["turn"].tolist() == [1, 2, 2]
    envs.close()


def test_attributes_and_calls(fake):
    envs = vector(ThreadVectorEnv, fake, n_workers=1)
    envs.reset()
    assert envs.get_attr("n_judged") == (0,) * N
    envs.set_attr("n_judged", [1, 2, 3])
    assert envs.call("n_judged") == (1, 2, 3)
    assert envs.call("render") == (None,) * N == envs.render()
    with pytest.raises(UsageError):
        envs.set_attr("n_judged", [1])
    envs.close()


# ── the machine ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def breakable():
    """A handler of one's own: ``crash`` takes the machine away."""
    import env_samples

    return env_samples.backend()


def test_a_failing_machine_is_raised_after_the_others_moved(breakable):
    envs = vector(ThreadVectorEnv, breakable)
    envs.reset()
    with pytest.raises(SandboxLostError):
        envs.step(("true", "crash", "submit"))
    # The two that are over are reset, the other one goes on.
    assert envs.step(["true"] * N)[4]["turn"].tolist() == [2, 0, 0]
    envs.close()


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP], ids=lambda m: m.name)
def test_a_failing_machine_can_be_masked(breakable, mode):
    envs = vector(ThreadVectorEnv, breakable, mode, mask_errors=True)
    envs.reset()
    _, rewards, terminations, truncations, infos = envs.step(("true", "crash", "true"))
    final = infos if mode is AutoresetMode.NEXT_STEP else infos["final_info"]
    assert final["verdict"][1].outcome is Outcome.ERROR
    assert (rewards[1], terminations[1], truncations.tolist()) == (0.0, False, [False, True, False])
    assert envs.step(["true"] * N)[4]["turn"].tolist() == [2, int(mode is AutoresetMode.SAME_STEP), 2]
    envs.close()


def test_close_from_another_thread_ends_a_turn_that_hangs(fake):
    entered, release = threading.Event(), threading.Event()

    def hangs(command, state):
        if command == "hang":
            entered.set()
            release.wait(300)

    fake.handler = hangs
    envs = vector(ThreadVectorEnv, fake)
    envs.reset()
    errors = []

    def step():
        try:
            envs.step(("hang", "true", "true"))
        except (SandboxError, EpisodeError) as error:
            errors.append(error)

    stepping = threading.Thread(target=step)
    stepping.start()
    assert entered.wait(300)
    threading.Timer(0.1, release.set).start()
    envs.close()
    stepping.join(300)
    assert not stepping.is_alive()
    for sandbox in fake.sandboxes:
        with pytest.raises(SandboxError):
            sandbox.read("/etc/passwd")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async", None])
def test_real_sandboxes(mode, machines):
    machines("embedded")
    name = cligym_env.list_tasks(gold="h11")[0]
    envs = gymnasium.make_vec(f"CLIGym/{name}", num_envs=2, vectorization_mode=mode, backend="embedded")
    envs.reset(seed=0)
    observations, _, terminations, _, infos = envs.step(("cd /tmp; pwd", "submit"))
    assert observations[0] == "/tmp\n[exit code 0; turn 1 of 50]"
    assert terminations.tolist() == [False, True]
    assert infos["verdict"][1].outcome is Outcome.UNRESOLVED
    observations, *_ = envs.step(("pwd", "anything"))
    assert observations[0] == "/tmp\n[exit code 0; turn 2 of 50]"
    assert observations[1].startswith("The test suite of h11")
    envs.close()

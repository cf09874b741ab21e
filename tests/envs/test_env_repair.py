"""The repair environment: on a task in memory, on every shipped task, and on a real one."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace

import gymnasium
import pytest
from env_samples import TASK, TESTS, judge
from gymnasium.utils.env_checker import check_env

import cligym_env
from cligym_env import catalog
from cligym_env.core import Outcome, Verdict
from cligym_env.envs.repair import RepairEnv
from cligym_env.errors import ImageError, SandboxLostError, UnknownNameError, UsageError

SHIPPED = cligym_env.list_tasks()


def checked(env):
    """Ask Gymnasium; its only complaint may be that it has no spec to make other render modes from."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*Not able to test alternative render modes")
        check_env(env)


def test_an_episode(toy):
    env = toy()
    observation, info = env.reset(seed=1)
    assert observation.startswith("The test suite of toy")
    assert "submit" in observation
    assert info == {
        "task": TASK.id,
        "gold": "toy",
        "category": "source-logic",
        "guidance": 1,
        "hint": False,
        "turn": 0,
    }
    assert env.step("pwd")[0].startswith("/testbed\n")
    env.step("echo right > state")
    _, reward, terminated, _, info = env.step("submit")
    assert (reward, terminated, info["resolved"]) == (1.0, True, True)
    assert set(info["verdict"].tests) == set(TESTS)
    env.close()


def test_guidance_and_hint_for_all_episodes_or_for_one(toy):
    env = toy(guidance=0, hint=True)
    terse = env.reset()[0]
    assert TASK.inversion.hint in terse and "Run the tests with" not in terse
    full, info = env.reset(options={"guidance": 2, "hint": False})
    assert TASK.inversion.hint not in full and TESTS[0] in full
    assert (info["guidance"], info["hint"]) == (2, False)
    assert env.reset()[0] == terse
    for options in ({"guidance": 3}, {"hint": "yes"}, {"task": "x"}):
        with pytest.raises(UsageError):
            env.reset(options=options)
    env.close()
    for settings in ({"guidance": 3}, {"hint": 1}):
        with pytest.raises(UsageError):
            toy(**settings)


def test_check_env(toy):
    checked(toy())


def test_nothing_is_started_before_reset(toy, fake):
    toy().close()
    assert fake.sandboxes == []


def test_an_image_that_was_cleaned_up_is_made_again(toy, fake, monkeypatch):
    env = toy()
    env.reset()
    start, n_refused = fake.start, []

    def refuses_once(image, limits=None):
        if not n_refused:
            n_refused.append(image)
            raise ImageError("gone")
        return start(image, limits)

    monkeypatch.setattr(fake, "start", refuses_once)
    assert env.reset()[0]
    assert len(n_refused) == 1
    env.close()


def test_a_sandbox_without_a_shell_is_given_back(toy, fake, monkeypatch):
    start = fake.start

    def lost(image, limits=None):
        sandbox = start(image, limits)
        monkeypatch.setattr(
            sandbox, "shell", lambda **more: (_ for _ in ()).throw(SandboxLostError("gone"))
        )
        return sandbox

    monkeypatch.setattr(fake, "start", lost)
    with pytest.raises(SandboxLostError):
        toy().reset()
    with pytest.raises(SandboxLostError):
        fake.sandboxes[-1].read("/etc/passwd")


def test_a_verdict_that_is_an_error_ends_the_episode_without_reward(toy, monkeypatch):
    verdict = Verdict(Outcome.ERROR, "out of memory")
    monkeypatch.setattr("cligym_env.envs.repair.verify", lambda *more: verdict)
    env = toy()
    env.reset()
    _, reward, terminated, truncated, info = env.step("submit")
    assert (reward, terminated, truncated, info["verdict"]) == (0.0, True, False, verdict)
    env.close()


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="did you mean"):
        RepairEnv(SHIPPED[0][:-1] + "_")
    with pytest.raises(UsageError, match="named by a str"):
        RepairEnv(3)
    with pytest.raises(UnknownNameError, match="embedded"):
        RepairEnv(SHIPPED[0], backend="embeded").reset()
    with pytest.raises(gymnasium.error.NameNotFound):
        gymnasium.make("CLIGym/no.such.task")


# ── through gymnasium ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def stand_in(monkeypatch, fake):
    """Every shipped task, with its own instruction and ids, on the fake: no suite is run."""
    where = "cligym_env.envs.repair"
    monkeypatch.setattr(f"{where}.golds.image", lambda gold, backend: backend.find("base"))
    monkeypatch.setattr(f"{where}.tasks.image", lambda task, gold, backend: backend.find("base"))
    monkeypatch.setattr(
        f"{where}.verify",
        lambda task, gold, snapshot, backend: replace(
            judge(b"wrong\n"), tests=dict.fromkeys(task.fail_to_pass, "failed")
        ),
    )
    # By name, as gymnasium.make wants it: what it is given is copied, and goes through JSON.
    monkeypatch.setattr("cligym_env.catalog.shared_backend", lambda name="auto": fake)
    return fake


@pytest.mark.parametrize("name", SHIPPED)
def test_check_env_of_every_shipped_task(name, stand_in):
    env = gymnasium.make(f"CLIGym/{name}", disable_env_checker=True)
    checked(env.unwrapped)
    observation, _ = env.reset()
    assert observation in env.observation_space
    env.close()


def test_make_gives_an_environment_with_our_errors_and_all_render_modes(stand_in):
    env = gymnasium.make(f"CLIGym/{SHIPPED[0]}", render_mode="ansi_list")
    with pytest.raises(cligym_env.errors.EpisodeError):
        env.step("true")
    env.reset(seed=1)
    env.step("true")
    assert len(env.render()) == 2
    env.close()
    assert gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()) == env.spec


def test_make_with_the_module_in_the_name():
    script = f"import gymnasium; env = gymnasium.make('cligym_env:CLIGym/{SHIPPED[0]}'); print(env.spec.id)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, f"CLIGym/{SHIPPED[0]}"), done.stderr


# ── for real ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_real_task(real_backend):
    name = cligym_env.list_tasks(gold="h11")[0]
    task = catalog.task(name)
    env = gymnasium.make(f"CLIGym/{name}", backend=real_backend.name, reward="fraction")
    checked(env.unwrapped)
    env.reset(seed=0)
    assert env.step("pwd; id -un")[0].startswith("/testbed\nroot\n")
    _, reward, _, _, info = env.step("submit")
    assert reward <= 0 and info["verdict"].outcome is Outcome.UNRESOLVED
    env.reset(seed=0)
    for command in task.inversion.solution:
        env.step(command)
    _, reward, terminated, _, info = env.step("submit")
    assert (reward, terminated, info["resolved"]) == (1.0, True, True), info["verdict"].reason
    assert set(task.fail_to_pass) <= set(info["verdict"].tests)
    env.close()


@pytest.mark.slow
def test_a_real_deadline(real_backend):
    env = RepairEnv(cligym_env.list_tasks(gold="h11")[0], backend=real_backend, turn_timeout_s=300)
    env.reset()
    env.step("cd /tmp")
    env.turn_timeout_s = 2.0  # for this turn alone: on a busy machine others take longer
    observation, _, _, _, info = env.step("sleep 1000")
    env.turn_timeout_s = 300.0
    assert info["timed_out"], observation
    assert "stopped at the deadline of 2 s" in observation
    assert env.step("pwd")[0].startswith("/tmp\n")
    env.close()


@pytest.mark.slow
def test_a_real_shell_that_is_taken_away(real_backend):
    env = RepairEnv(cligym_env.list_tasks(gold="h11")[0], backend=real_backend)
    env.reset()
    env.step("rm -rf --no-preserve-root /bin /usr /lib /lib64 2>/dev/null; exit")
    observation = env.step("echo still here")[0]
    assert observation.startswith("[no exit code: there is no shell any more"), observation
    _, reward, terminated, _, info = env.step("submit")
    assert (reward, terminated, info["verdict"].outcome) == (0.0, True, Outcome.UNRESOLVED)
    env.close()

"""The base of the environments: episodes, errors, truncation with a verdict, rendering."""

from __future__ import annotations

import gc
import os

import pytest
from env_samples import ToyEnv
from gymnasium.utils.env_checker import check_env

from cligym_env.core import Outcome, Verdict
from cligym_env.envs import base
from cligym_env.envs.base import MAX_ACTION_CHARS, ShellEnv
from cligym_env.errors import (
    ActionError,
    EpisodeError,
    SandboxError,
    SandboxLostError,
    ShellLostError,
    UsageError,
)


@pytest.fixture
def env(fake):
    made = ToyEnv(fake, max_turns=3)
    yield made
    made.close()


def alive(fake) -> int:
    found = 0
    for sandbox in fake.sandboxes:
        try:
            sandbox.read("/etc/passwd")
        except SandboxError:
            continue
        found += 1
    return found


def test_two_hooks_and_no_more():
    hooks = {
        name for name, value in vars(ShellEnv).items() if getattr(value, "__isabstractmethod__", False)
    }
    assert hooks == {"_open", "_judge"}


def test_an_episode(env):
    observation, info = env.reset(seed=4)
    assert (observation, info) == ("make it right", {"task": "toy", "turn": 0})
    observation, reward, terminated, truncated, info = env.step("cat state; cd /")
    assert observation == "wrong\n[exit code 0; turn 1 of 3]"
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert info == {
        "exit_code": 0,
        "timed_out": False,
        "n_dropped_bytes": 0,
        "restarted": False,
        "turn": 1,
    }
    assert env.step("pwd; echo right > /testbed/state")[0] == "/\n[exit code 0; turn 2 of 3]"
    observation, reward, terminated, truncated, info = env.step("submit")
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert observation == "[submitted: 1 of 1 repaired, 0 of 1 broken; resolved]"
    assert isinstance(info["verdict"], Verdict)
    assert info["resolved"] is True
    assert info["verdict"].tests["tests/test_state.py::test_other"] == "passed"
    assert info["turn"] == 2


def test_submit_may_have_blanks_around_it_and_nothing_else(env):
    env.reset()
    assert not env.step("echo submit")[2]
    assert not env.step("submit now")[2]
    assert env.step(" submit\n")[2]


def test_the_last_turn_truncates_with_a_verdict(env):
    env.reset()
    env.step("echo right > state")
    assert env.step("true")[3] is False
    observation, reward, terminated, truncated, info = env.step("echo last")
    assert observation == "last\n[exit code 0; turn 3 of 3]"
    assert (reward, terminated, truncated) == (1.0, False, True)
    assert info["verdict"].resolved
    assert env.n_judged == 1


def test_submit_is_no_turn(env):
    env.reset()
    env.step("true")
    env.step("true")
    assert env.step("submit")[2:4] == (True, False)


@pytest.mark.parametrize(
    ("mode", "word", "reward"),
    [
        ("sparse", "half", 0.0),
        ("fraction", "half", 0.5),
        ("fraction", "right", 1.0),
        ("fraction", "x", 0.0),
    ],
)
def test_rewards(fake, mode, word, reward):
    env = ToyEnv(fake, reward=mode)
    env.reset()
    assert env.step(f"echo {word} > state")[1] == 0.0
    assert env.step("submit")[1] == reward
    env.close()


@pytest.mark.parametrize("mode", ["sparse", "fraction"])
def test_an_error_is_no_reward_and_scales_are_fixed(fake, mode, monkeypatch):
    env = ToyEnv(fake, reward=mode)
    for verdict, reward in (
        (Verdict(Outcome.ERROR, "oom", fraction=1.0), 0.0),
        (Verdict(Outcome.UNRESOLVED, "worse", fraction=-3.0), 0.0 if mode == "sparse" else -1.0),
    ):
        monkeypatch.setattr(env, "_judge", lambda sandbox, verdict=verdict: verdict)
        env.reset()
        assert env.step("submit")[1] == reward
    env.close()


# ── what cannot be done ─────────────────────────────────────────────────────────────────────


def test_step_before_reset_after_the_end_and_after_close(fake):
    env = ToyEnv(fake, max_turns=1)
    with pytest.raises(EpisodeError, match="before reset"):
        env.step("true")
    with pytest.raises(EpisodeError, match="before reset"):
        env.render()
    env.reset()
    env.step("true")
    with pytest.raises(EpisodeError, match="after the end"):
        env.step("true")
    env.reset()
    env.close()
    env.close()
    with pytest.raises(EpisodeError, match="after close"):
        env.step("true")
    assert alive(fake) == 0


@pytest.mark.parametrize(
    "action", [None, 3, b"true", ["true"], "x" * (MAX_ACTION_CHARS + 1), "x" * 10**6, "echo \0", "\ud800"]
)
def test_what_cannot_be_typed_is_refused_and_the_episode_goes_on(env, action):
    env.reset()
    with pytest.raises(ActionError):
        env.step(action)
    assert env.step("echo on")[0] == "on\n[exit code 0; turn 1 of 3]"


def test_the_longest_action_is_typed(env):
    env.reset()
    text = "é" * (MAX_ACTION_CHARS - len("echo "))
    observation = env.step(f"echo {text}")[0]
    assert observation in env.observation_space
    assert observation.startswith("ééé")


@pytest.mark.parametrize(
    "settings",
    [
        {"max_turns": 0},
        {"max_turns": 1.5},
        {"max_turns": True},
        {"turn_timeout_s": 0},
        {"turn_timeout_s": float("inf")},
        {"turn_timeout_s": float("nan")},
        {"max_observation_chars": 10},
        {"reward": "dense"},
        {"render_mode": "rgb_array"},
    ],
)
def test_settings_that_make_no_sense(fake, settings):
    with pytest.raises(UsageError, match=next(iter(settings))):
        ToyEnv(fake, **settings)


def test_options(env):
    assert env.reset(options={"word": "now"})[0] == "make it right now"
    with pytest.raises(UsageError, match="unknown option wrod; known: word"):
        env.reset(options={"wrod": "now"})


# ── the machine ─────────────────────────────────────────────────────────────────────────────


def test_a_machine_that_goes_away_raises_and_can_be_reset(env, fake):
    env.reset()
    fake.sandboxes[-1].lose()
    with pytest.raises(SandboxLostError):
        env.step("true")
    with pytest.raises(EpisodeError, match="after the end"):
        env.step("true")
    env.reset()
    assert env.step("echo back")[0].startswith("back")
    assert alive(fake) == 1


def test_a_machine_that_goes_away_before_the_verdict(env, fake):
    env.reset()
    env.step("true")
    fake.sandboxes[-1].lose()
    with pytest.raises(SandboxLostError):
        env.step("submit")
    env.close()


def test_a_policy_that_takes_the_shell_away_is_judged(fake, monkeypatch):
    """Else it would be a way out of a bad verdict."""
    env = ToyEnv(fake, max_turns=3)
    env.reset()
    env.step("echo right > state")

    def gone(command, *, timeout_s):
        raise ShellLostError("no bash")

    monkeypatch.setattr(env._opening.shell, "run", gone)
    observation, _, terminated, truncated, info = env.step("true")
    assert observation.startswith("[no exit code: there is no shell any more")
    assert (info["exit_code"], info["timed_out"], terminated, truncated) == (-1, False, False, False)
    assert env.step("submit")[1:3] == (1.0, True)
    env.close()


def test_one_sandbox_at_a_time_and_none_in_the_end(env, fake):
    for _ in range(3):
        env.reset()
    assert alive(fake) == 1
    env.step("submit")
    assert alive(fake) == 0
    env.reset()
    env.close()
    assert alive(fake) == 0


def test_a_forgotten_environment_gives_its_sandbox_back(fake):
    env = ToyEnv(fake)
    env.reset()
    assert alive(fake) == 1
    del env
    gc.collect()
    assert alive(fake) == 0


def test_a_forked_copy_gives_nothing_back(fake):
    env = ToyEnv(fake)
    env.reset()
    opening = env._opening
    base._close(opening, os.getpid() + 1)
    assert env.step("echo alive")[0].startswith("alive")
    env.close()


def test_deadline_exit_code_and_new_shell_are_told(fake):
    env = ToyEnv(fake, turn_timeout_s=5)
    env.reset()
    observation, _, _, _, info = env.step("sleep 100")
    assert (info["exit_code"], info["timed_out"]) == (-1, True)
    assert observation.startswith("[no exit code: stopped at the deadline of 5 s")
    info = env.step("exit 3")[4]
    assert (info["exit_code"], info["restarted"]) == (3, True)
    env.close()


# ── what Gymnasium asks ─────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
def test_check_env(env):
    check_env(env)


def test_infos_are_fresh_and_equal_for_equal_seeds(fake):
    def play():
        env = ToyEnv(fake)
        told = [env.reset(seed=5), env.step("cat state; false"), env.step("submit")]
        env.close()
        return told

    first, second = play(), play()
    assert first == second
    assert all(one[-1] is not other[-1] for one, other in zip(first, second, strict=True))


def test_render(fake, capsys):
    silent, text, human = ToyEnv(fake), ToyEnv(fake, render_mode="ansi"), ToyEnv(fake, render_mode="human")
    for env in (silent, text, human):
        env.reset()
    assert (silent.render(), text.render(), human.render()) == (None, "make it right", None)
    for env in (silent, text, human):
        env.step("echo hi")
    assert text.render() == "$ echo hi\nhi\n[exit code 0; turn 1 of 50]"
    assert capsys.readouterr().out == "make it right\n$ echo hi\nhi\n[exit code 0; turn 1 of 50]\n"
    for env in (silent, text, human):
        env.close()

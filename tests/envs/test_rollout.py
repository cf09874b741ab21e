"""The episode loop: whatever happens, the record is whole."""

from __future__ import annotations

import json

import pytest
from env_samples import TASK

from cligym_env import plugins, trajectories
from cligym_env.core import Call, Outcome, Verdict
from cligym_env.errors import PolicyError, RecipeError, UsageError
from cligym_env.rollout import rollout


class Script:
    """Does what a list says; an exception in it is raised."""

    name = "script"

    def __init__(self, *steps):
        self.steps = steps
        self.seeds = []

    def act(self, instruction, history, *, seed, task=None):
        self.seeds.append(seed)
        step = self.steps[min(len(history), len(self.steps) - 1)]
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Call) else Call(step)


def test_oracle_and_noop(toy):
    env = toy()
    oracle = rollout(env, plugins.create("policies", "oracle"), seed=3, attempt=2)
    assert (oracle.reward, oracle.exit_status, oracle.verdict.resolved) == (1.0, "submitted", True)
    assert [turn.call.action for turn in oracle.turns] == [*TASK.inversion.solution, "submit"]
    assert (oracle.task, oracle.policy, oracle.seed, oracle.attempt) == (TASK.id, "oracle", 3, 2)
    assert (oracle.backend, oracle.error) == ("fake", "")
    assert oracle.version
    assert oracle.metadata == {
        "gold": "toy",
        "category": "source-logic",
        "guidance": 1,
        "hint": False,
        "reward": "sparse",
        "max_turns": 50,
    }
    noop = rollout(env, plugins.create("policies", "noop"))
    assert (noop.reward, noop.exit_status, len(noop.turns)) == (0.0, "submitted", 1)
    env.close()


def test_attempts_have_seeds_of_their_own(toy):
    script = Script("submit")
    env = toy()
    for attempt in range(3):
        rollout(env, script, seed=10, attempt=attempt)
    assert script.seeds == [10, 11, 12]
    env.close()


def test_truncation(toy):
    env = toy(max_turns=2)
    done = rollout(env, Script("echo right > state", "false", "never"))
    assert (done.exit_status, done.reward, len(done.turns)) == ("truncated", 1.0, 2)
    assert [turn.exit_code for turn in done.turns] == [0, 1]
    env.close()


def test_options_and_watcher(toy):
    env = toy()
    seen = []
    done = rollout(env, Script("true", "submit"), options={"hint": True}, watch=seen.append)
    assert "Hint:" in done.instruction
    assert done.metadata["hint"] is True
    assert tuple(seen) == done.turns
    env.close()


def test_what_cannot_be_typed_becomes_a_turn_and_comes_to_an_end(toy):
    env = toy(max_turns=5)
    done = rollout(env, Script("echo \0", "\ud800", "x" * 10**6, None, "submit"))
    assert done.exit_status == "submitted"
    assert all(turn.observation.startswith("[not typed: ") for turn in done.turns[:4])
    assert json.loads(json.dumps(trajectories.to_dict(done)))
    assert max(len(turn.call.action) for turn in done.turns) <= 1_000
    for_ever = rollout(env, Script("echo \0"))
    assert (for_ever.exit_status, len(for_ever.turns)) == ("truncated", 6)
    assert for_ever.verdict.outcome is Outcome.UNRESOLVED
    env.close()


def test_a_lost_machine_is_recorded(toy, fake):
    env = toy()
    done = rollout(env, Script("true", "crash"))
    assert (done.exit_status, done.reward, done.verdict) == ("error", 0.0, None)
    assert done.error == "SandboxLostError: the machine went away"
    assert len(done.turns) == 1
    assert rollout(env, Script("submit")).exit_status == "submitted"
    env.close()


def test_a_machine_that_cannot_start_is_recorded(toy):
    broken = plugins.create("backends", "fake", problems=["no machine"])
    done = rollout(toy(backend=broken), Script("true"))
    assert (done.exit_status, done.turns, done.task) == ("error", (), TASK.id)
    assert "no machine" in done.error


def test_a_verdict_that_is_an_error_is_one(toy, monkeypatch):
    verdict = Verdict(Outcome.ERROR, "out of memory")
    monkeypatch.setattr("cligym_env.envs.repair.verify", lambda *more: verdict)
    env = toy()
    done = rollout(env, Script("submit"))
    assert (done.exit_status, done.error, done.verdict) == ("error", "out of memory", verdict)
    env.close()


def test_a_policy_that_breaks_off(toy):
    env = toy()
    done = rollout(env, Script("true", PolicyError("the server is gone")))
    assert (done.exit_status, done.error) == ("error", "PolicyError: the server is gone")
    with pytest.raises(PolicyError):
        rollout(env, Script(PolicyError("no server")))
    with pytest.raises(ZeroDivisionError):
        rollout(env, Script(ZeroDivisionError()))
    env.close()


def test_the_breaker_fits_no_oracle(fake):
    from env_samples import ToyEnv

    env = ToyEnv(fake)
    with pytest.raises(UsageError):
        rollout(env, plugins.create("policies", "oracle"))
    done = rollout(env, Script("submit"))
    assert (done.task, done.backend) == ("toy", "")
    env.close()


# ── on disk ─────────────────────────────────────────────────────────────────────────────────


def test_a_trajectory_is_the_same_after_a_round_trip(toy, tmp_path):
    env = toy()
    call = Call("echo 'ü ✓'", "I think", {"prompt_tokens": 3})
    done = rollout(env, Script(call, "exit 4", "sleep 1000", "submit"))
    lost = rollout(env, Script("crash"), seed=1)
    env.close()
    for one in (done, lost):
        assert trajectories.from_dict(json.loads(json.dumps(trajectories.to_dict(one)))) == one
        trajectories.append(tmp_path / "t.jsonl", one)
    assert trajectories.read(tmp_path / "t.jsonl") == (done, lost)
    assert done.turns[2].exit_code is None


def test_of_equal_keys_the_last_counts_and_torn_lines_do_not(toy, tmp_path):
    env, path = toy(), tmp_path / "t.jsonl"
    for script in (Script("crash"), Script("submit")):
        trajectories.append(path, rollout(env, script))
    env.close()
    with open(path, "ab") as stream:
        stream.write(path.read_bytes()[:100])
    [only] = trajectories.read([path])
    assert only.exit_status == "submitted"
    trajectories.append(path, only)
    assert trajectories.read(path) == (only,)


@pytest.mark.parametrize(
    "line", ["{}", '{"schema": 2}', '{"schema": 1, "turns": [], "verdict": null, "x": 1}']
)
def test_rows_that_are_none(tmp_path, line):
    (tmp_path / "t.jsonl").write_text(line + "\n")
    with pytest.raises(RecipeError, match="row 1"):
        trajectories.read(tmp_path / "t.jsonl")
    with pytest.raises(RecipeError, match="expected a file"):
        trajectories.read(tmp_path / "nowhere")

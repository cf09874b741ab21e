"""The policies that need no server."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from cligym_env import plugins, trajectories
from cligym_env.core import Call, Entry, Inversion, PathState, Task, Trajectory, Turn
from cligym_env.errors import RecipeError, UsageError
from cligym_env.policies.human import HELP
from cligym_env.policies.random import COMMANDS

TASK = Task(
    id="toy.family.0a1b2c3d",
    inversion=Inversion(
        "toy", "family", "other", ("rm x",), ("touch x", "chmod 644 x"), "Something is gone."
    ),
    seed=0,
    fail_to_pass=("t",),
    n_pass_to_pass=1,
    paths=(PathState("/x", Entry("file"), Entry("absent")),),
    symptoms="gone",
    split="train",
    gold_hash="c",
)


def turns(*actions: str) -> tuple[Turn, ...]:
    return tuple(Turn(Call(action), f"saw {action}\n[exit code 0; turn 1 of 9]", 0) for action in actions)


def acted(policy, n_turns: int = 0, **more) -> str:
    return policy.act("repair it", turns(*"x" * n_turns), **{"seed": 0, "task": TASK, **more}).action


def test_oracle():
    oracle = plugins.create("policies", "oracle")
    assert [acted(oracle, n) for n in range(4)] == ["touch x", "chmod 644 x", "submit", "submit"]
    with pytest.raises(UsageError, match="repair environment"):
        acted(oracle, task=None)


def test_noop():
    assert acted(plugins.create("policies", "noop"), task=None) == "submit"


def test_random_repeats_for_a_seed_and_submits():
    policy = plugins.create("policies", "random", n_turns="5")
    episodes = [[acted(policy, n, seed=seed) for n in range(6)] for seed in range(50)]
    assert episodes == [[acted(policy, n, seed=seed) for n in range(6)] for seed in range(50)]
    assert {actions[-1] for actions in episodes} == {"submit"}
    assert {action for actions in episodes for action in actions[:-1]} == set(COMMANDS)
    for wrong in (-1, "many"):
        with pytest.raises(UsageError, match="n_turns"):
            plugins.create("policies", "random", n_turns=wrong)


def recorded(seed: int, *actions: str, **changes) -> Trajectory:
    made = Trajectory(TASK.id, "p", seed, 0, "repair it", turns(*actions), 0.0, None, "submitted")
    return replace(made, **changes)


def test_replay(tmp_path):
    path = tmp_path / "t.jsonl"
    for one in (recorded(0, "a", "submit"), recorded(1, "b"), recorded(1, "c", attempt=1)):
        trajectories.append(path, one)
    policy = plugins.create("policies", "replay", path=str(path))
    assert [acted(policy, n, seed=0) for n in range(2)] == ["a", "submit"]
    assert [acted(policy, n, seed=1) for n in range(2)] == ["b", "submit"]
    assert acted(policy, seed=2) == "c"
    assert acted(policy, seed=9) == "a"
    with pytest.raises(UsageError, match="no trajectory of other"):
        acted(policy, task=replace(TASK, id="other"))
    with pytest.raises(UsageError, match="no trajectory"):
        acted(policy, task=None)


def test_replay_of_nothing(tmp_path):
    (tmp_path / "empty").write_text("")
    (tmp_path / "foreign").write_text('{"schema": 1, "task": "x"}\n')
    (tmp_path / "other").write_text('{"schema": 99}\n')
    for options, error in (
        ({}, UsageError),
        ({"path": tmp_path / "empty"}, UsageError),
        ({"path": tmp_path / "nowhere"}, RecipeError),
        ({"path": tmp_path / "foreign"}, RecipeError),
        ({"path": tmp_path / "other"}, RecipeError),
        ({"path": tmp_path}, RecipeError),
    ):
        with pytest.raises(error):
            plugins.create("policies", "replay", **options)


# ── human ───────────────────────────────────────────────────────────────────────────────────


def typed(text: str, history: tuple[Turn, ...] = (), **more) -> tuple[str, str]:
    """The action a person's lines make, and what was shown."""
    shown = io.StringIO()
    policy = plugins.create("policies", "human", stdin=io.StringIO(text), stdout=shown)
    return acted_with(policy, history, **more), shown.getvalue()


def acted_with(policy, history, **more) -> str:
    return policy.act("repair it", history, **{"seed": 0, "task": TASK, **more}).action


def test_human_is_told_what_to_do_and_types():
    action, shown = typed("ls -la\n")
    assert action == "ls -la"
    assert shown == f"repair it\n{HELP}\n$ ls -la\n"


def test_human_sees_the_last_output_only():
    _, shown = typed("next\n", turns("one", "two"))
    assert shown == "saw two\n[exit code 0; turn 1 of 9]\n$ next\n"


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("", "submit"),
        ("\n\n", "submit"),
        ("submit\n", "submit"),
        ("no end of line", "no end of line"),
        ("echo a \\\n  b\n", "echo a \\\n  b"),
        ("echo a \\", "echo a \\"),
        (":help\n:hint\n:task\n?\nls\n", "ls"),
    ],
)
def test_what_a_person_or_a_pipe_says(text, action):
    assert typed(text)[0] == action


def test_hint_on_demand():
    assert "Something is gone." in typed(":hint\n")[1]
    assert "There is none." in typed(":hint\n", task=None)[1]


def test_markup_is_only_text():
    shown = typed("x\n", (Turn(Call("x"), "[red]not markup[/] [exit\n[exit code 1; turn 1 of 2]", 1),))[1]
    assert shown.startswith("[red]not markup[/] [exit\n[exit code 1;")


def test_a_closed_standard_input(monkeypatch):
    stream = io.StringIO()
    stream.close()
    with pytest.raises(UsageError, match="closed"):
        plugins.create("policies", "human", stdin=stream)

"""Trajectories become what others read: parquet for SFTTrainer, ATIF for Harbor."""

import json
from pathlib import Path
from typing import Any

import pytest

from cligym_env import plugins, trajectories
from cligym_env.cli import main
from cligym_env.conversation import SYSTEM, TOOLS, messages
from cligym_env.core import Call, Outcome, Trajectory, Turn, Verdict
from cligym_env.errors import UsageError

datasets = pytest.importorskip("datasets", reason="the extra data is not installed")


def trajectory(attempt: int = 0, *, resolved: bool = True, n_turns: int = 3, **fields: Any) -> Trajectory:
    turns = [
        Turn(
            Call(f"echo {number} ä $x \x1b[0m", thought="look" if number == 0 else ""), f"out {number}\n", 0
        )
        for number in range(n_turns - 1)
    ]
    outcome = Outcome.RESOLVED if resolved else Outcome.UNRESOLVED
    given: dict[str, Any] = {
        "task": "h11.elf-header.0123abcd",
        "policy": "oracle",
        "seed": 7,
        "attempt": attempt,
        "instruction": "The tests fail.",
        "turns": (*turns, Turn(Call("submit"), "", None)),
        "reward": float(resolved),
        "verdict": Verdict(outcome, "all pass" if resolved else "some fail"),
        "exit_status": "submitted",
        "backend": "fake",
        "version": "0.1.0",
        "metadata": {"category": "infrastructure"},
    }
    return Trajectory(**{**given, **fields})


# ── the conversation ────────────────────────────────────────────────────────────────────────


def test_conversation_is_tool_calls_and_their_results() -> None:
    written = messages("Do.", trajectory(n_turns=2).turns)
    assert [message["role"] for message in written] == ["system", "user", "assistant", "tool", "assistant"]
    assert written[0]["content"] == SYSTEM
    assert written[2]["tool_calls"][0]["function"] == {
        "name": "bash",
        "arguments": {"command": "echo 0 ä $x \x1b[0m"},
    }
    assert written[2]["reasoning_content"] == "look"
    assert written[3]["content"] == "out 0\n"
    assert written[4]["tool_calls"][0]["function"] == {"name": "submit", "arguments": {}}


# ── sft ─────────────────────────────────────────────────────────────────────────────────────


def test_sft_reads_back_as_it_was_written(tmp_path: Path) -> None:
    given = [trajectory(0), trajectory(1, resolved=False, n_turns=5)]
    out = plugins.create("exporters", "sft").export(given, tmp_path / "rows" / "sft.parquet")
    rows = list(
        datasets.load_dataset("parquet", data_files=str(out), split="train", cache_dir=str(tmp_path))
    )
    assert [row["messages"] for row in rows] == [messages(one.instruction, one.turns) for one in given]
    assert rows[0]["tools"] == TOOLS
    # No key of one call leaks into another: a submit has no arguments, not a command of null.
    assert rows[0]["messages"][-1]["tool_calls"][0]["function"]["arguments"] == {}
    told = {
        name: rows[0][name] for name in ("task", "gold", "family", "category", "policy", "seed", "attempt")
    }
    assert told == {
        "task": "h11.elf-header.0123abcd",
        "gold": "h11",
        "family": "elf-header",
        "category": "infrastructure",
        "policy": "oracle",
        "seed": 7,
        "attempt": 0,
    }
    assert [(row["reward"], row["resolved"], row["n_turns"], row["n_tokens"]) for row in rows] == [
        (1.0, True, 3, -1),
        (0.0, False, 5, -1),
    ]
    assert [path.name for path in out.parent.iterdir()] == ["sft.parquet"]


@pytest.mark.parametrize(
    ("options", "attempts"),
    [
        ({}, [0, 1, 2]),
        ({"resolved": True}, [0, 2]),
        ({"min_turns": 4}, [2]),
        ({"unflagged": True}, [0, 1]),
    ],
)
def test_sft_selects(options: dict[str, Any], attempts: list[int], tmp_path: Path) -> None:
    given = [
        trajectory(0),
        trajectory(1, resolved=False),
        trajectory(2, n_turns=4, verdict=Verdict(Outcome.RESOLVED, "", flags=("start-up: /etc/profile",))),
        trajectory(3, exit_status="error", verdict=None, error="engine gone"),
    ]
    out = plugins.create("exporters", "sft", **options).export(given, tmp_path / "sft.parquet")
    assert datasets.Dataset.from_parquet(str(out), cache_dir=str(tmp_path))["attempt"] == attempts


def test_sft_says_why_nothing_is_left(tmp_path: Path) -> None:
    given = [trajectory(0, resolved=False), trajectory(1, exit_status="error", verdict=None)]
    with pytest.raises(UsageError, match="1 not resolved, 1 ended by an error"):
        plugins.create("exporters", "sft", resolved=True).export(given, tmp_path / "sft.parquet")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="tokenizer"):
        plugins.create("exporters", "sft", max_tokens=10)


def test_a_failed_export_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "sft.parquet"
    out.write_bytes(b"old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets.Dataset, "to_parquet", full)
    with pytest.raises(OSError, match="No space"):
        plugins.create("exporters", "sft").export([trajectory()], out)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("sft.parquet", b"old")]


# ── atif ────────────────────────────────────────────────────────────────────────────────────

ROOT = {"schema_version", "session_id", "trajectory_id", "agent", "steps", "final_metrics", "extra"}
STEP = {
    "step_id",
    "source",
    "message",
    "reasoning_content",
    "tool_calls",
    "observation",
    "metrics",
    "extra",
}
METRICS = {"prompt_tokens", "completion_tokens", "cached_tokens", "cost_usd", "extra"}


def test_atif_keeps_to_the_format(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 10.0, "completion_tokens": 2.0, "cost_usd": 0.5, "total_tokens": 12.0}
    turns = (Turn(Call("ls", "look", usage), "a\n", 0), Turn(Call("submit", "", usage), "", None))
    given = trajectory(policy="chat/local/model", turns=turns)
    out = plugins.create("exporters", "atif").export([given], tmp_path / "atif")
    (file,) = out.iterdir()
    found = json.loads(file.read_bytes())
    assert found["schema_version"] == "ATIF-v1.8"
    assert set(found) <= ROOT
    assert found["agent"]["model_name"] == "local/model"
    assert [step["step_id"] for step in found["steps"]] == [1, 2, 3, 4]
    assert [step["source"] for step in found["steps"]] == ["system", "user", "agent", "agent"]
    for step in found["steps"]:
        assert set(step) <= STEP
        assert set(step.get("metrics", ())) <= METRICS
        calls = {call["tool_call_id"] for call in step.get("tool_calls", ())}
        results = step.get("observation", {"results": []})["results"]
        assert {result["source_call_id"] for result in results} == calls
    assert found["steps"][2]["tool_calls"][0]["arguments"] == {"command": "ls"}
    assert found["final_metrics"]["total_prompt_tokens"] == 20
    assert found["final_metrics"]["total_cost_usd"] == 1.0
    assert found["extra"]["cligym"]["verdict"]["outcome"] == "resolved"


def test_atif_files_do_not_collide(tmp_path: Path) -> None:
    given = [
        trajectory(policy=name, attempt=n) for name in ("chat/a", "chat-a", "chat:a") for n in range(2)
    ]
    out = plugins.create("exporters", "atif").export(given, tmp_path / "atif")
    assert len(list(out.iterdir())) == 6


# ── the command ─────────────────────────────────────────────────────────────────────────────


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return int(end.value.code or 0)


def test_command_exports_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for attempt in range(2):
        trajectories.append(tmp_path / "run" / "trajectories.jsonl", trajectory(attempt))
    out = tmp_path / "sft.parquet"
    assert run("export", "sft", str(tmp_path / "run"), "-o", str(out), "--resolved", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"written": str(out), "n_read": 2}
    assert out.stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sfd", "run"), "did you mean 'sft'"),
        (("sft", "nowhere.jsonl"), "expected a file of trajectories"),
        (("sft", "."), "holds no file of trajectories"),
        (("atif", "nowhere.jsonl", "--max-tokens", "5"), "max_tokens"),
    ],
)
def test_command_says_what_is_wrong_in_one_line(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("export", *arguments, "-o", "out") == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert message in said.err
    assert list(tmp_path.iterdir()) == []

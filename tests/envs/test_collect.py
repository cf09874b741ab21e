"""Many rollouts: all of them once, also after Ctrl-C, after a kill and on a failing machine."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from env_samples import TASK, prepared

import cligym_env
from cligym_env import files, plugins, trajectories
from cligym_env.cli import main
from cligym_env.collect import collect, scores
from cligym_env.core import Call, Trajectory, Turn
from cligym_env.errors import PolicyError, RecipeError, SandboxError, UnknownNameError, UsageError

PATIENCE_S = 600.0  # for a busy machine; nothing here is expected to take a twentieth of it

TASKS = [replace(TASK, id=f"toy.source-logic.{n:08x}") for n in range(4)]
NOOP, ORACLE = (plugins.create("policies", name) for name in ("noop", "oracle"))


class Script:
    """Types one command, then submits; keeps the tasks it saw."""

    def __init__(self, name, command="true"):
        self.name, self.command = name, command
        self.seen = []

    def act(self, instruction, history, *, seed, task=None):
        self.seen.append(task.id)
        if isinstance(self.command, Exception):
            raise self.command
        return Call("submit" if history else self.command)


@pytest.fixture
def out(tmp_path, toy):
    return tmp_path / "runs" / "t.jsonl"


def rows(path: Path) -> list[trajectories.Key]:
    return [trajectories.key(trajectories.from_dict(row)) for row in files.read_rows(path)]


def test_every_pair_once_in_order(out, fake):
    told = []
    found = collect(
        TASKS,
        [NOOP, ORACLE],
        out=out,
        backend=fake,
        n_attempts=2,
        n_concurrent=3,
        seed=5,
        progress=lambda one, n_done, n_total: told.append((n_done, n_total)),
    )
    keys = [
        (task.id, policy, 5, attempt)
        for task in TASKS
        for policy in ("noop", "oracle")
        for attempt in range(2)
    ]
    assert [trajectories.key(one) for one in found] == keys
    assert sorted(rows(out)) == sorted(keys)
    assert told == [(n, 16) for n in range(1, 17)]
    assert [one.reward for one in found] == [0.0, 0.0, 1.0, 1.0] * 4
    noop, oracle = scores(found)
    assert (noop.policy, noop.n, noop.n_resolved, noop.reward, noop.pass_at_k, noop.turns) == (
        *("noop", 8, 0, 0.0),
        *(0.0, 1.0),
    )
    assert (oracle.n_resolved, oracle.pass_at_k, oracle.turns, oracle.n_errors) == (8, 1.0, 3.0, 0)
    for sandbox in fake.sandboxes:
        with pytest.raises(SandboxError):
            sandbox.read("/etc/passwd")


def test_a_second_run_adds_what_is_missing(out, fake):
    first = collect(TASKS[:2], [NOOP], out=out, backend=fake)
    before = out.read_bytes()
    assert collect(TASKS[:2], [NOOP], out=out, backend=fake) == first
    assert out.read_bytes() == before
    policy = Script("noop")
    collect(TASKS, [policy], out=out, backend=fake)
    assert set(policy.seen) == {task.id for task in TASKS[2:]}
    assert len(rows(out)) == len(set(rows(out))) == 4


def test_other_terms_are_another_file(out, fake):
    collect(TASKS[:1], [NOOP], out=out, backend=fake, guidance=0)
    for terms in ({"guidance": 2}, {}, {"guidance": 0, "reward": "fraction"}):
        with pytest.raises(UsageError, match="name another file"):
            collect(TASKS[:1], [NOOP], out=out, backend=fake, **terms)


def test_without_resume_the_file_must_be_new(out, fake):
    collect(TASKS[:1], [NOOP], out=out, backend=fake, resume=False)
    with pytest.raises(FileExistsError):
        collect(TASKS[:1], [NOOP], out=out, backend=fake, resume=False)


def test_a_failing_machine_is_tried_again_and_then_recorded(out, fake):
    crash = Script("crash", "crash")
    [done] = collect(TASKS[:1], [crash], out=out, backend=fake, n_tries=3)
    assert len(crash.seen) == 3
    assert (done.exit_status, done.reward) == ("error", 0.0)
    assert scores([done])[0].n_errors == 1
    # What the machine spoilt is asked for again, and replaces the row.
    crash.command = "true"
    [done] = collect(TASKS[:1], [crash], out=out, backend=fake)
    assert done.exit_status == "submitted"
    assert trajectories.read(out) == (done,)


def test_a_policy_that_cannot_begin_ends_the_run(out, fake):
    collect(TASKS[:1], [NOOP], out=out, backend=fake)
    with pytest.raises(PolicyError, match="no server"):
        collect(TASKS, [NOOP, Script("gone", PolicyError("no server"))], out=out, backend=fake)
    assert all(policy == "noop" for _, policy, _, _ in rows(out))


def test_a_full_disk_ends_the_run_and_keeps_what_was_written(out, fake, monkeypatch):
    append, n_written = files.append_row, []

    def full(path, row):
        if len(n_written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        n_written.append(row)
        append(path, row)

    monkeypatch.setattr(files, "append_row", full)
    with pytest.raises(OSError, match="No space left"):
        collect(TASKS, [NOOP], out=out, backend=fake, n_concurrent=1)
    assert len(rows(out)) == 2
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"n_concurrent": 0}, "n_concurrent"),
        ({"n_attempts": 0}, "n_attempts"),
        ({"n_tries": 0}, "n_tries"),
        ({"max_turns": 0}, "max_turns"),
        ({"guidance": 7}, "guidance"),
    ],
)
def test_settings_that_make_no_sense(out, fake, settings, told):
    with pytest.raises(UsageError, match=told):
        collect(TASKS[:1], [NOOP], out=out, backend=fake, **settings)
    assert not out.exists()


def test_nothing_to_do(out, fake):
    for tasks, policies in (([], [NOOP]), (TASKS, []), (TASKS, [NOOP, NOOP])):
        with pytest.raises(UsageError):
            collect(tasks, policies, out=out, backend=fake)
    with pytest.raises(UnknownNameError):
        collect(["no.such.task"], [NOOP], out=out, backend=fake)
    out.parent.mkdir()
    out.write_text("{}\n")
    with pytest.raises(RecipeError):
        collect(TASKS, [NOOP], out=out, backend=fake)


def test_an_interrupt_stops_the_workers_and_keeps_no_spoilt_rollout(out, fake):
    """One rollout is done, the others hang in a command when Ctrl-C comes."""
    n_hanging, closed = threading.Semaphore(0), threading.Event()

    def hangs(command, state):
        if command == "hang":
            n_hanging.release()
            closed.wait(PATIENCE_S)

    fake.handler = hangs

    def interrupt(one, n_done, n_total):
        for _ in range(2):
            assert n_hanging.acquire(timeout=PATIENCE_S)
        threading.Timer(0.05, closed.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(
            TASKS[:2],
            [NOOP, Script("hang", "hang")],
            out=out,
            backend=fake,
            n_concurrent=3,
            progress=interrupt,
        )
    assert {policy for _, policy, _, _ in rows(out)} == {"noop"}
    for sandbox in fake.sandboxes:
        with pytest.raises(SandboxError):
            sandbox.read("/etc/passwd")
    names = ("cligym-collect-0", "cligym-collect-1", "cligym-collect-2")
    wait_for(lambda: not any(thread.name in names for thread in threading.enumerate()))
    found = collect(TASKS[:2], [NOOP, Script("hang")], out=out, backend=fake)
    assert len(rows(out)) == len(found) == 4


# ── the command ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def command(toy, fake, monkeypatch):
    """``cligym`` on the toy tasks; gives its exit code."""
    monkeypatch.setattr("cligym_env.catalog.task", lambda name: {task.id: task for task in TASKS}[name])
    monkeypatch.setattr("cligym_env.catalog.open_backend", lambda name="auto": fake)

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        return caught.value.code

    return run


def test_the_table(command, out, capsys):
    assert command("collect", "-t", TASKS[0].id, "-t", TASKS[1].id, "-k", 2, "-o", out) == 0
    shown = capsys.readouterr().out
    for word in (TASKS[0].id, TASKS[1].id, "noop", "oracle", "source-logic", "0.00", "1.00", "pass@k"):
        assert word in shown
    assert len(rows(out)) == 8


def test_json_and_resume(command, out, capsys):
    asked = ["collect", "-t", TASKS[0].id, "-a", "oracle", "-a", "random:n_turns=2", "-o", out, "--json"]
    assert command(*asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert [score["policy"] for score in told["scores"]] == ["oracle", "random"]
    assert told["trajectories"][0] | {"seed": 0} == {
        "task": TASKS[0].id,
        "policy": "oracle",
        "seed": 0,
        "attempt": 0,
        "reward": 1.0,
        "outcome": "resolved",
        "exit_status": "submitted",
        "n_turns": 3,
    }
    assert command(*asked) == 2
    assert "is there already" in capsys.readouterr().err
    assert command(*asked, "--resume") == 0
    assert len(rows(out)) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name tasks with -t"),
        (["--all", "-t", "x"], "name tasks with -t"),
        (["--gold", "no-such"], "unknown gold"),
        (["-t", TASKS[0].id, "-a", "orcale"], "did you mean 'oracle'"),
        (["-t", TASKS[0].id, "-a", "random:often"], "key=value"),
        (["-t", TASKS[0].id, "-a", "random:colour=red"], "colour"),
        (["-t", TASKS[0].id, "-a", "replay"], "file of trajectories"),
        (["-t", TASKS[0].id, "-n", "0"], "n_concurrent"),
    ],
)
def test_one_line_for_what_cannot_be_done(command, capsys, arguments, told):
    assert command("collect", *arguments) == 2
    assert told in (error := capsys.readouterr().err)
    assert error.strip().count("\n") == 0


def test_a_failed_machine_makes_the_command_fail(command, out, fake, capsys):
    fake._problems = ("no machine",)
    assert command("collect", "-t", TASKS[0].id, "-a", "noop", "-o", out) == 1
    assert "no machine" in capsys.readouterr().err


# ── for real ────────────────────────────────────────────────────────────────────────────────


def sleeping(number: int) -> list[int]:
    """Processes of this machine that sleep for so many seconds, in sandboxes or out of them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if words[:2] == [b"sleep", str(number).encode()] and state != "Z":
                found.append(int(entry.name))
    return found


def wait_for(condition, process=None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.fixture
def collecting(tmp_path, real_backend):
    """A process that collects: one rollout is done, two type a command that takes for ever."""
    name = cligym_env.list_tasks(gold="h11")[0]
    prepared(name, real_backend)
    number = 10_000_000 + os.getpid()
    script, out = tmp_path / "script.jsonl", tmp_path / "t.jsonl"
    turn = Turn(Call(f"sleep {number}"), "")
    trajectories.append(script, Trajectory(name, "p", 0, 0, "", (turn,), 0.0, None, "truncated"))
    options = [
        "-a",
        "noop",
        "-a",
        f"replay:path={script}",
        "-k",
        "2",
        "-n",
        "4",
        "--turn-timeout",
        "100000",
    ]
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from cligym_env.cli import main; main()", "collect"),
            *("-t", name, "-b", real_backend.name, "-o", str(out), *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: len(sleeping(number)) == 2 and len(rows(out)) == 2, process)
        yield process, number, out
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=lambda one: one.name
)
def test_a_stopped_run_leaves_no_sandbox_and_loses_no_row(collecting, number, real_backend):
    process, seconds, out = collecting
    process.send_signal(number)
    _, complaint = process.communicate(timeout=PATIENCE_S)
    if number == signal.SIGINT:
        assert process.returncode == 130, complaint
        assert "Traceback" not in complaint
    wait_for(lambda: not sleeping(seconds))
    assert [policy for _, policy, _, _ in rows(out)] == ["noop", "noop"]
    name = rows(out)[0][0]
    found = collect([name], [NOOP, ORACLE], out=out, backend=real_backend, n_attempts=2)
    assert [one.reward for one in found] == [0.0, 0.0, 1.0, 1.0]
    assert len(rows(out)) == 4

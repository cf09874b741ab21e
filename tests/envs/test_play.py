"""``cligym play``: in a pipe, and at a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest
from env_samples import TASK, TESTS, prepared

import cligym_env
from cligym_env import trajectories
from cligym_env.cli import main

PATIENCE_S = 600.0


@pytest.fixture
def played(toy, fake, monkeypatch, capsys):
    """Play the toy task with some lines on standard input; exit code, output and complaints."""
    monkeypatch.setattr("cligym_env.catalog.task", lambda name: TASK)
    monkeypatch.setattr("cligym_env.catalog.open_backend", lambda name="auto": fake)

    def play(lines, *options):
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        with pytest.raises(SystemExit) as caught:
            main(["play", TASK.id, *map(str, options)])
        shown = capsys.readouterr()
        return caught.value.code, shown.out, shown.err

    return play


def test_repaired_in_a_pipe(played, tmp_path):
    code, shown, complaint = played(
        "cat state\n:hint\necho right > state\nsubmit\n", "-o", tmp_path / "t.jsonl"
    )
    assert (code, complaint) == (0, "")
    assert "wrong\n[exit code 0; turn 1 of 200]\n" in shown
    assert TASK.inversion.hint in shown
    assert shown.endswith("resolved: 1 of 1 repaired, 0 of 1 broken\nreward 1 after 3 turns\n")
    [done] = trajectories.read(tmp_path / "t.jsonl")
    assert (done.policy, done.exit_status, done.reward) == ("human", "submitted", 1.0)


def test_the_end_of_a_pipe_is_a_submit(played):
    code, shown, _ = played("pwd\n")
    assert code == 1
    assert f"  failed: {TESTS[0]}" in shown
    assert played("")[0] == 1


def test_no_more_turns(played):
    code, _, remark = played("true\ntrue\ntrue\n", "--max-turns", 2)
    assert (code, remark) == (1, "no more turns\n")


def test_guidance_and_hint(played):
    shown = played("", "-g", 0, "--hint")[1]
    assert "Hint: " in shown and "Run the tests" not in shown
    code, _, complaint = played("", "-g", 9)
    assert (code, complaint) == (2, "cligym: guidance is one of 0, 1, 2, not 9\n")


def test_a_lost_machine_is_one_line(played):
    code, _, complaint = played("crash\n")
    assert code == 2
    assert complaint == "cligym: no judgement: SandboxLostError: the machine went away\n"


# ── at a terminal ───────────────────────────────────────────────────────────────────────────


class Terminal:
    """A process with a terminal of its own."""

    def __init__(self, *arguments):
        self.fd, slave = pty.openpty()
        # Whoever opens a terminal first in a session of its own gets the signals of its keys.
        program = "import os; os.open(os.ttyname(0), os.O_RDWR); from cligym_env.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"},
        )
        os.close(slave)
        self.seen = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, pattern):
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.seen, re.DOTALL):
            assert time.monotonic() < deadline, self.seen
            if not select.select([self.fd], [], [], 1)[0]:
                continue
            try:
                data = os.read(self.fd, 65_536)
            except OSError:
                data = b""
            assert data, self.seen
            self.seen += data.decode("utf-8", "replace")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


@pytest.fixture
def terminal(machines):
    name = cligym_env.list_tasks(gold="h11")[0]
    prepared(name, machines("embedded"))
    made = Terminal("play", name, "-b", "embedded")
    yield made
    made.close()


@pytest.mark.slow
def test_at_a_terminal(terminal):
    terminal.wait_for(r"Ctrl-C gives up.*\$ $")
    assert "\x1b[" in terminal.seen
    terminal.type("pwd\n")
    terminal.wait_for(r"/testbed\r?\n.*turn 1 of 200.*\$ $")
    terminal.type(":hint\n:help\nfalse\n")
    terminal.wait_for(r"exit code 1; turn 2 of 200.*\$ $")
    terminal.type("\x04")
    terminal.wait_for(r"unresolved: .*reward 0 after 3 turns")
    assert terminal.process.wait(PATIENCE_S) == 1
    assert "Traceback" not in terminal.seen


@pytest.mark.slow
def test_giving_up_at_a_terminal(terminal):
    terminal.wait_for(r"Ctrl-C gives up.*\$ $")
    # Python's readline sets aside what interrupts it between its prompt and its waiting for keys.
    deadline = time.monotonic() + PATIENCE_S
    while terminal.process.poll() is None:
        assert time.monotonic() < deadline, terminal.seen
        terminal.type("\x03")
        with contextlib.suppress(subprocess.TimeoutExpired):
            terminal.process.wait(15)
    assert terminal.process.returncode == 130

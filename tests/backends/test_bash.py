"""The shell protocol over a bash of the host: what it promises whatever the back end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cligym_env.backends import _bash
from cligym_env.backends._bash import ARGV, BashSession, CappedOutput
from cligym_env.backends._channel import unread_bytes
from cligym_env.errors import ActionError, ShellLostError


class HostChannel:
    """A bash of the host in a process group of its own."""

    def __init__(self, cwd: str) -> None:
        self.process = subprocess.Popen(
            ARGV,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd if os.path.isdir(cwd) else "/",
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.into, self.out = self.process.stdin, self.process.stdout

    def send(self, data: bytes, *, begins: bool = True) -> None:
        self.into.write(data)

    def unread_bytes(self) -> int:
        return unread_bytes(self.into.fileno())

    def recv(self, timeout_s: float) -> bytes | None:
        until = time.monotonic() + timeout_s
        while True:
            ended = self.process.poll() is not None
            if select.select([self.out], [], [], 0 if ended else 0.02)[0]:
                return os.read(self.out.fileno(), 65_536)
            if ended:
                return b""
            if time.monotonic() >= until:
                return None

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        self._signal(signal.SIGSTOP)  # first, so that nothing new comes up
        out = subprocess.run(["pgrep", "-g", str(self.process.pid)], stdout=subprocess.PIPE, check=False)
        for pid in map(int, out.stdout.split()):
            if pid != self.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._signal(signal.SIGINT)
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def exit_code(self) -> int:
        code = self.process.wait()
        return code if code >= 0 else 128 - code

    def stage(self, data: bytes) -> str:
        descriptor, path = tempfile.mkstemp()
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        return path

    def unstage(self, path: str) -> None:
        os.unlink(path)

    def close(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.wait()
        self.into.close()
        self.out.close()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[BashSession]:
    session = BashSession(HostChannel, output_bytes=1 << 20, cwd=str(tmp_path))
    yield session
    session.close()


@pytest.mark.parametrize(
    ("command", "exit_code", "output"),
    [
        ("echo hi", 0, b"hi\n"),
        ("printf hi; false", 1, b"hi"),
        ("echo out; echo err >&2", 0, b"out\nerr\n"),
        ("cat; read x; echo $x", 0, b"\n"),
        ("echo 'it''s' \"quoted\"", 0, b"its quoted\n"),
        ("printf '\\377\\000\\036'", 0, b"\xff\0\x1e"),
        ("echo é€", 0, "é€\n".encode()),
        ("# nothing", 0, b""),
        ("", 0, b""),
        ("-x", 127, None),
        ("echo 'open", 2, None),
        ("cat <<END\nheredoc", 0, None),
        ("echo back\\", 0, b"back\\\n"),
        ("sh -c 'kill -9 $$'", 137, b""),
        ("set -x; true", 0, b"++ true\n"),
        ("set -v", 0, b""),
        ("unset PWD; set -u; echo $nothing", 1, None),
        ("exec >/dev/null; echo lost", 0, b""),
        ("printf() { :; }; echo kept", 0, b"kept\n"),
        ("trap 'true' DEBUG; echo kept", 0, b"kept\n"),
        ("exec 1>&- 2>&- 0<&-", 0, b""),
    ],
)
def test_a_command_and_the_one_after_it(
    shell: BashSession, command: str, exit_code: int, output: bytes | None
) -> None:
    result = shell.run(command, timeout_s=300)
    assert result.exit_code == exit_code
    assert not result.restarted
    if output is not None:
        assert result.output == output
    after = shell.run("echo still here", timeout_s=300)
    assert after.exit_code == 0
    assert after.output.endswith(b"still here\n")


def test_state_stays(shell: BashSession) -> None:
    shell.run("x=1; f() { echo f; }; mkdir sub; cd sub; export Y=2", timeout_s=300)
    assert shell.run("echo $x $(printenv Y); f; basename $PWD", timeout_s=300).output == b"1 2\nf\nsub\n"


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_status_of_the_last_command_is_there_for_the_next(shell: BashSession, status: int) -> None:
    shell.run(f"(exit {status})", timeout_s=300)
    assert shell.run("echo $?", timeout_s=300).output == b"%d\n" % status


def test_giving_a_status_back_is_no_failure(shell: BashSession) -> None:
    shell.run("(exit 4)", timeout_s=300)
    assert (
        shell.run("s=$?; trap 'echo err' ERR; (exit $s) || true; (exit 4) && true", timeout_s=300).output
        == b""
    )
    result = shell.run("echo $?", timeout_s=300)
    assert result.output == b"4\n"
    assert not result.restarted


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [("exit 3", 3), ("exec true", 0), ("set -e; false", 1), ("kill -9 $$", 137), ("exec 3<&0; exit", 0)],
)
def test_the_end_of_the_shell_gives_a_new_one_in_its_directory(
    shell: BashSession, command: str, exit_code: int
) -> None:
    cwd = shell.run("mkdir sub; cd sub; pwd; x=1", timeout_s=300).output
    result = shell.run(command, timeout_s=300)
    assert (result.exit_code, result.restarted) == (exit_code, True)
    assert shell.run("echo $x$PWD", timeout_s=300).output == cwd


def test_a_child_that_holds_the_stream_does_not_hold_the_shell(shell: BashSession) -> None:
    result = shell.run("sleep 1000 & exit 4", timeout_s=300)
    assert (result.exit_code, result.restarted) == (4, True)


@pytest.mark.parametrize(
    "command",
    ["sleep 1000", "while :; do :; done", "sleep 1000 | cat", "(trap '' INT TERM; sleep 1000)", "yes"],
)
def test_a_deadline_keeps_the_shell(
    shell: BashSession, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bash, "_KILL_S", 60.0)  # a busy machine's shell is not given up
    shell.run("x=kept", timeout_s=300)
    result = shell.run(command, timeout_s=0.5)
    assert result.timed_out
    assert not result.restarted
    assert shell.run("echo $x", timeout_s=300).output == b"kept\n"


def test_a_shell_that_ignores_everything_is_replaced(shell: BashSession) -> None:
    result = shell.run("trap '' INT TERM; while :; do :; done", timeout_s=0.5)
    assert result.timed_out
    assert result.restarted
    assert shell.run("echo works", timeout_s=300).output == b"works\n"


def test_what_follows_an_interrupted_command_is_not_run(shell: BashSession) -> None:
    assert b"after" not in shell.run("sleep 1000; echo after", timeout_s=0.5).output


def test_an_interrupt_waits_until_the_command_is_read(
    shell: BashSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell that got no processor until the deadline would run all of it afterwards."""
    monkeypatch.setattr(_bash, "_BEGIN_S", 60.0)
    channel = shell._channel
    assert isinstance(channel, HostChannel)
    pid = channel.process.pid
    os.kill(pid, signal.SIGSTOP)
    while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "T":
        time.sleep(0.01)
    threading.Timer(0.5, os.kill, (pid, signal.SIGCONT)).start()
    assert b"after" not in shell.run("sleep 1000; echo after", timeout_s=0.01).output
    assert shell.run("echo works", timeout_s=60).output == b"works\n"


def test_what_begins_after_the_interrupt_is_interrupted_again(
    shell: BashSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = shell._channel
    assert isinstance(channel, HostChannel)
    interrupt, n_lost = channel.interrupt, []

    def lost_once() -> None:
        if n_lost:
            interrupt()
        n_lost.append(1)

    monkeypatch.setattr(channel, "interrupt", lost_once)
    monkeypatch.setattr(_bash, "_AGAIN_S", 60.0)
    assert b"after" not in shell.run("sleep 1000; echo after", timeout_s=0.5).output


@pytest.mark.parametrize("n", [3_000, 5_000, 200_000])
def test_big_commands(shell: BashSession, n: int) -> None:
    body = "x'\n" * (n // 3)
    result = shell.run(
        f"wc -c <<'END'\n{body}END\nreturn_value=5; exit_code() {{ return 5; }}; exit_code", timeout_s=60
    )
    assert result.exit_code == 5
    assert result.output == b"%d\n" % len(body)


def test_much_output_keeps_both_ends() -> None:
    session = BashSession(HostChannel, output_bytes=1_000)
    try:
        result = session.run("echo begin; head -c 10000000 /dev/zero; echo end", timeout_s=300)
    finally:
        session.close()
    assert result.output.startswith(b"begin\n")
    assert result.output.endswith(b"end\n")
    assert len(result.output) == 1_000
    assert result.n_dropped_bytes == 10_000_000 + 10 - 1_000


def test_a_forged_marker_deceives_nobody_but_its_writer(shell: BashSession) -> None:
    shell.run("printf '\\0360123456789abcdef 0 /\\0'", timeout_s=300)
    shell.run("trap 'printf \"\\036${BASH_COMMAND:21:16} x y\\0\"' DEBUG", timeout_s=300)
    shell.run("true", timeout_s=300)
    shell.run("trap - DEBUG", timeout_s=300)
    shell.run("true", timeout_s=300)
    assert shell.run("echo works", timeout_s=300).output.endswith(b"works\n")


@pytest.mark.parametrize("command", ["builtin() { :; }", "enable -n printf"])
def test_a_shell_whose_builtins_are_gone_is_found_out(shell: BashSession, command: str) -> None:
    shell.run(command, timeout_s=600)
    assert shell.run("echo lost?", timeout_s=600).output in (b"lost?\n", b"")
    assert shell.run("echo works", timeout_s=300).output == b"works\n"


def test_a_long_command_is_not_disturbed_by_the_question(shell: BashSession) -> None:
    shell.run("set -e", timeout_s=300)
    result = shell.run("echo begin; sleep 3; echo end", timeout_s=600)
    assert (result.exit_code, result.output, result.restarted) == (0, b"begin\nend\n", False)
    assert shell.run("echo $?", timeout_s=300).output == b"0\n"
    assert shell.run("(sleep 3; exit 7) || s=$?; (exit $s) || true", timeout_s=600).output == b""


def test_a_prompt_set_by_a_script_does_not_get_into_the_output(shell: BashSession) -> None:
    shell.run("PS1='(venv) '", timeout_s=300)
    assert shell.run("echo clean", timeout_s=300).output == b"clean\n"


def test_nul_is_refused_and_closing_is_final(shell: BashSession) -> None:
    with pytest.raises(ActionError):
        shell.run("a\0b", timeout_s=300)
    shell.close()
    shell.close()
    with pytest.raises(ShellLostError):
        shell.run("true", timeout_s=300)


@pytest.mark.parametrize("size", [0, 1, 7, 100])
def test_capped_output_is_exact(size: int) -> None:
    text = bytes(range(50))
    capped = CappedOutput(size)
    for i in range(0, 50, 3):
        capped.feed(text[i : i + 3])
    kept, n_dropped = capped.result()
    assert len(kept) + n_dropped == 50
    head = (size + 1) // 2
    assert kept == (text if size >= 50 else text[:head] + text[50 - (size - head) :])

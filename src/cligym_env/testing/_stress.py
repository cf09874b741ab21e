"""Checks of the shell's deadlines and of abuse: stubborn commands, background jobs, bombs, floods."""

from __future__ import annotations

import contextlib
from functools import partial

from cligym_env.core import ExecResult, Limits, Shell
from cligym_env.errors import SandboxError
from cligym_env.testing._bench import (
    HANG_S,
    LONG_S,
    Bench,
    collect,
    gone,
    nonce,
    ok,
    patiently,
    returned,
    running,
    same,
    until,
)

__all__ = ["CHECKS"]


def _cut(shell: Shell, command: str, timeout_s: float = 2) -> ExecResult:
    result = returned(lambda: shell.run(command, timeout_s=timeout_s), timeout_s)
    same((result.exit_code, result.timed_out), (None, True), f"exit code and timed_out of {command!r}")
    return result


def _alive(shell: Shell) -> None:
    ok(returned(lambda: shell.run("echo alive", timeout_s=LONG_S), LONG_S), "alive\n")


def deadline_of_shell(bench: Bench) -> None:
    """The deadline ends a command; what follows in it does not run; the directory stays."""
    sandbox, mark = bench.start(), nonce()
    shell = sandbox.shell(cwd="/usr/lib")

    def attempt(timeout_s: float) -> ExecResult | None:
        result = _cut(shell, f"echo before; sleep {mark}; echo next; touch /tmp/next", timeout_s)
        # An interactive bash ends its line when it is interrupted, and says nothing else.
        if not result.output.strip(b"\n"):
            return result
        same(result.output.rstrip(b"\n"), b"before", "output")
        return None

    patiently(attempt)
    gone(sandbox, mark)
    ok(shell.run("pwd; ls /tmp", timeout_s=LONG_S), "/usr/lib\n")


def deadline_of_list(bench: Bench) -> None:
    """Nothing of a list, a loop or a function runs on after its deadline, many times over."""
    sandbox, mark = bench.start(), nonce()
    shell = sandbox.shell()
    for command in (
        f"sleep {mark} ; touch /tmp/next",
        f"sleep {mark} || touch /tmp/next",
        f"for i in 1 2 3; do sleep {mark}; touch /tmp/next; done",
        f"f() {{ sleep {mark}; touch /tmp/next; }}; f; touch /tmp/next",
        f"(sleep {mark}; touch /tmp/next); touch /tmp/next",
        f"x=$(sleep {mark}; touch /tmp/next); touch /tmp/next",
        f"bash -c 'sleep {mark}; touch /tmp/next'; touch /tmp/next",
    ):
        _cut(shell, command, 1)
        ok(shell.run("ls /tmp", timeout_s=LONG_S), "")
    gone(sandbox, mark)


def deadline_of_pipeline(bench: Bench) -> None:
    """The deadline ends every process of a pipeline."""
    sandbox, mark = bench.start(), nonce()
    shell = sandbox.shell()
    _cut(shell, f"yes {mark} | (trap '' INT TERM PIPE; cat >/dev/null; sleep {mark}) | cat")
    gone(sandbox, mark)
    _alive(shell)


def deadline_ignored_by_child(bench: Bench) -> None:
    """A child that ignores every signal it can ends at the deadline."""
    sandbox, mark = bench.start(), nonce()
    shell = sandbox.shell()
    _cut(shell, f"bash -c \"trap '' INT TERM HUP QUIT; while :; do sleep {mark}; done\"")
    gone(sandbox, mark)
    _alive(shell)


def deadline_ignored_by_shell(bench: Bench) -> None:
    """A shell that ignores every signal it can is replaced, and the result says so."""
    sandbox = bench.start()
    shell = sandbox.shell(cwd="/usr/lib")
    result = _cut(shell, "trap '' INT TERM HUP QUIT; while :; do :; done")
    same(result.restarted, True, "restarted")
    ok(shell.run("pwd", timeout_s=LONG_S), "/usr/lib\n")


def deadline_of_busy_loop(bench: Bench) -> None:
    """A busy loop of builtins ends at the deadline."""
    shell = bench.shell()
    _cut(shell, "while :; do :; done")
    _alive(shell)


def deadline_of_stopped(bench: Bench) -> None:
    """A command that stops itself, or its shell, does not outlive the deadline."""
    sandbox, mark = bench.start(), nonce()
    shell = sandbox.shell()
    _cut(shell, f"bash -c 'kill -STOP $$; sleep {mark}'")
    _alive(shell)
    _cut(shell, f"kill -STOP $$; sleep {mark}")
    _alive(shell)
    gone(sandbox, mark)


def deadline_of_flood(bench: Bench) -> None:
    """A flood of output does not keep the deadline from ending it."""
    shell = bench.shell()

    def attempt(timeout_s: float) -> ExecResult | None:
        result = _cut(shell, "yes", timeout_s)
        if not result.n_dropped_bytes:
            return result
        same(result.output[:4], b"y\ny\n", "the first output")
        return None

    patiently(attempt)
    _alive(shell)


def background_job(bench: Bench) -> None:
    """A job in the background holds up nothing, goes on, and can be killed."""
    sandbox, mark = bench.start(), nonce()
    shell = sandbox.shell()
    result = returned(lambda: shell.run(f"sleep {mark} & echo started", timeout_s=LONG_S), LONG_S)
    # An interactive bash may name the job before.
    same((result.exit_code, result.text.splitlines()[-1:]), (0, ["started"]), "exit code and last line")
    until(lambda: mark in running(sandbox), "the job is running")
    ok(shell.run("kill %1 2>/dev/null || kill $!", timeout_s=LONG_S))
    gone(sandbox, mark)


def background_output(bench: Bench) -> None:
    """What a job in the background prints later disturbs no exit code."""
    shell = bench.shell()
    shell.run("(while :; do echo noise; sleep 0.01; done) & disown", timeout_s=LONG_S)
    for code in range(30):
        result = returned(partial(shell.run, f"(exit {code})", timeout_s=LONG_S), LONG_S)
        same(result.exit_code, code, "exit code")
    _ = shell.run("kill $!", timeout_s=LONG_S)


def background_outlives_shell(bench: Bench) -> None:
    """A job that holds the output of a shell that is gone holds up nothing."""
    sandbox, mark = bench.start(), nonce()
    shell = sandbox.shell()
    result = returned(lambda: shell.run(f"setsid sleep {mark} & exit 3", timeout_s=LONG_S), LONG_S)
    same((result.exit_code, result.restarted), (3, True), "exit code and restarted")
    _alive(shell)


def bomb_of_forks(bench: Bench) -> None:
    """A fork bomb gets an answer, harms no other sandbox, and the sandbox can be frozen and closed."""
    other = bench.start()
    sandbox = bench.start(limits=Limits(n_pids=64))
    shell = sandbox.shell()
    returned(lambda: shell.run(":(){ :|:& };:", timeout_s=5), 5)
    with contextlib.suppress(SandboxError):
        returned(lambda: shell.run("echo alive", timeout_s=10), 10)
    ok(other.exec("echo alive", timeout_s=LONG_S), "alive\n")
    returned(sandbox.freeze, 0)
    returned(sandbox.close, 0)


def limit_of_processes(bench: Bench) -> None:
    """No more processes start than allowed; when they are gone, the sandbox works again."""
    sandbox = bench.start(limits=Limits(n_pids=40))
    script = "while (@p < 300) { $p = fork; last if !defined $p; if (!$p) { sleep 600; exit } push @p, $p }"
    # It waits for those it killed: a process that nobody has waited for still counts.
    end = "print scalar @p; kill 9, @p; waitpid $_, 0 for @p"
    result = returned(
        lambda: sandbox.exec(["perl", "-e", f"{script} {end}"], timeout_s=LONG_S),
        LONG_S,
    )
    same(0 < int(result.text) <= 40, True, f"at most 40 ({result.text})")
    ok(sandbox.exec("echo alive", timeout_s=LONG_S), "alive\n")


def hog_of_memory(bench: Bench) -> None:
    """A command that takes more memory than allowed fails, and the sandbox goes on."""
    shell = bench.shell(Limits(memory_bytes=128 << 20))
    command = "perl -e '$x = \"x\" x (600 << 20); print length $x'"
    result = returned(lambda: shell.run(command, timeout_s=LONG_S), LONG_S)
    same(result.exit_code == 0, False, "a success")
    _alive(shell)


def hog_of_disk(bench: Bench) -> None:
    """A command that writes more than allowed is stopped; reads and the freeze still work."""
    sandbox = bench.start(limits=Limits(disk_bytes=64 << 20))
    command = "for i in {1..60}; do head -c 20000000 /dev/zero > /srv/$i || exit 9; sleep 1; done"
    stopped = False
    try:
        stopped = returned(lambda: sandbox.exec(command, timeout_s=LONG_S), LONG_S).exit_code != 0
    except SandboxError:
        stopped = True
    same(stopped, True, "stopped before 1.2 GB")
    same(returned(sandbox.freeze, 0).entry("/srv/1").kind, "file", "what was written first")


def many_files(bench: Bench) -> None:
    """30,000 new files are survived: the freeze works, and asking for fewer changes is refused."""
    sandbox = bench.start()
    command = "mkdir /srv/many; cd /srv/many; perl -e 'for (1..30000) { open F, \">\", $_ }'"
    ok(sandbox.exec(command, timeout_s=LONG_S), "")
    snapshot = returned(sandbox.freeze, LONG_S)
    refused = False
    try:
        snapshot.changes(max_paths=20_000)
    except OverflowError:
        refused = True
    same(refused, True, "OverflowError for more than max_paths changes")
    same(snapshot.entry("/srv/many/29999").kind, "file", "one of them")


def nothing_left_to_run(bench: Bench) -> None:
    """After ``rm -rf /`` every call returns or raises our errors, and the disk can be read."""
    sandbox = bench.start()
    shell = sandbox.shell()
    returned(lambda: shell.run("rm -rf --no-preserve-root / 2>/dev/null", timeout_s=LONG_S), LONG_S)
    for call in (
        lambda: shell.run("echo alive", timeout_s=10),
        lambda: sandbox.exec("echo alive", timeout_s=10),
        lambda: sandbox.shell().run("echo alive", timeout_s=10),
    ):
        with contextlib.suppress(SandboxError):
            returned(call, 10)
    snapshot = returned(sandbox.freeze, HANG_S)
    same(snapshot.entry("/etc/passwd").kind, "absent", "what was removed")
    until(lambda: snapshot.entry("/usr/bin/bash").kind == "absent", "the shell is gone too")


CHECKS = collect(dict(globals()))

"""Checks of single commands: exit codes, output, standard input, users, deadlines."""

from __future__ import annotations

from functools import partial

from cligym_env.core import ExecResult, Limits
from cligym_env.errors import UsageError
from cligym_env.testing._bench import (
    LONG_S,
    Bench,
    collect,
    gone,
    nonce,
    ok,
    patiently,
    raises,
    returned,
    running,
    same,
    together,
    until,
)

__all__ = ["CHECKS"]


def exec_exit_code(bench: Bench) -> None:
    """The exit code is the command's own."""
    sandbox = bench.start()
    for command, code in (("true", 0), ("false", 1), ("exit 7", 7), ("exit 255", 255)):
        same(sandbox.exec(command, timeout_s=LONG_S).exit_code, code, command)


def exec_signal(bench: Bench) -> None:
    """A command that a signal ended gives 128 and its number."""
    sandbox = bench.start()
    for name, code in (("TERM", 143), ("KILL", 137)):
        same(sandbox.exec(f"kill -{name} $$", timeout_s=LONG_S).exit_code, code, name)


def exec_missing_program(bench: Bench) -> None:
    """A program that is not there, or is none, gives 127 and 126, not an error of ours."""
    sandbox = bench.start()
    same(sandbox.exec(["no-such-program"], timeout_s=LONG_S).exit_code, 127, "a missing program")
    same(sandbox.exec(["/etc/passwd"], timeout_s=LONG_S).exit_code, 126, "a text file")


def exec_argument_vector(bench: Bench) -> None:
    """A sequence is started without a shell: nothing in it is expanded."""
    words = ["a b", "$HOME", "*", "", "'\"", "ä\n", "-n"]
    result = bench.start().exec(["printf", "[%s]", *words], timeout_s=LONG_S)
    ok(result, "".join(f"[{word}]" for word in words))


def exec_output_order(bench: Bench) -> None:
    """What is written to stdout and stderr comes in the order written."""
    command = 'for i in {1..300}; do echo "o$i"; echo "e$i" >&2; done'
    wanted = "".join(f"o{i}\ne{i}\n" for i in range(1, 301))
    ok(bench.start().exec(command, timeout_s=LONG_S), wanted)


def exec_unicode(bench: Bench) -> None:
    """Any text goes in and out unchanged."""
    sandbox = bench.start()
    for text in ("ä€𝄞", "日本語", "\u202e\u200b", "tab\tand \\ and 'q' \"d\""):
        ok(sandbox.exec(["printf", "%s", text], timeout_s=LONG_S), text)


def exec_binary(bench: Bench) -> None:
    """Every byte value comes out unchanged, NUL and escapes too."""
    every = bytes(range(256))
    octal = "".join(f"\\{byte:03o}" for byte in every)
    ok(
        bench.start().exec(f"printf '{octal}\\033[31mred\\033[0m\\r\\n'", timeout_s=LONG_S),
        every + b"\x1b[31mred\x1b[0m\r\n",
    )


def exec_output_cap(bench: Bench) -> None:
    """Of long output the first and the last half are kept, and the rest is counted."""
    sandbox = bench.start(limits=Limits(output_bytes=1000))
    wanted = "".join(f"{i}\n" for i in range(1, 5001)).encode()
    result = sandbox.exec("for i in {1..5000}; do echo $i; done", timeout_s=LONG_S)
    same(result.exit_code, 0, "exit code")
    same((result.output[:500], result.output[-500:]), (wanted[:500], wanted[-500:]), "first and last half")
    same(
        (len(result.output), result.n_dropped_bytes),
        (1000, len(wanted) - 1000),
        "bytes kept, bytes dropped",
    )


def exec_output_at_cap(bench: Bench) -> None:
    """Output of exactly the limit is not cut."""
    sandbox = bench.start(limits=Limits(output_bytes=1000))
    result = sandbox.exec(["printf", "%s", "x" * 1000], timeout_s=LONG_S)
    ok(result, "x" * 1000)
    same(result.n_dropped_bytes, 0, "bytes dropped")


def exec_output_10mb(bench: Bench) -> None:
    """10 MB of output is read to its end, and the limit kept of it."""
    result = bench.start().exec("head -c 10000000 /dev/zero | tr '\\0' x", timeout_s=LONG_S)
    same(result.exit_code, 0, "exit code")
    same(len(result.output), Limits().output_bytes, "bytes kept")
    same(len(result.output) + result.n_dropped_bytes, 10_000_000, "bytes kept and dropped")


def exec_deadline(bench: Bench) -> None:
    """The deadline ends a command and what it started; what follows in it does not run."""
    sandbox, mark = bench.start(), nonce()
    command = f"echo before; sleep {mark}; echo next; touch /tmp/next"

    def attempt(timeout_s: float) -> ExecResult | None:
        result = returned(lambda: sandbox.exec(command, timeout_s=timeout_s), timeout_s)
        same((result.exit_code, result.timed_out), (None, True), "exit code and timed_out")
        if not result.output:
            return result
        same(result.output, b"before\n", "output")
        return None

    patiently(attempt)
    gone(sandbox, mark)
    same(sandbox.exec("test -e /tmp/next", timeout_s=LONG_S).exit_code, 1, "the next command ran")


def exec_deadline_pipeline(bench: Bench) -> None:
    """The deadline ends every process of a pipeline and of subshells."""
    sandbox, mark = bench.start(), nonce()
    command = f"sleep {mark} | cat | (trap '' TERM INT HUP; bash -c 'sleep {mark}; true'; sleep {mark})"
    result = returned(lambda: sandbox.exec(command, timeout_s=2), 2)
    same(result.exit_code, None, "exit code")
    gone(sandbox, mark)


def exec_deadline_stubborn(bench: Bench) -> None:
    """A command that ignores every signal it can ends at the deadline."""
    sandbox, mark = bench.start(), nonce()
    command = f"trap '' TERM INT HUP QUIT PIPE; while :; do sleep {mark}; done"
    result = returned(lambda: sandbox.exec(command, timeout_s=2), 2)
    same(result.exit_code, None, "exit code")
    gone(sandbox, mark)


def exec_deadline_busy(bench: Bench) -> None:
    """A busy loop ends at the deadline, and the sandbox goes on."""
    sandbox = bench.start()
    result = returned(lambda: sandbox.exec("trap '' TERM INT; while :; do :; done", timeout_s=2), 2)
    same(result.exit_code, None, "exit code")
    ok(sandbox.exec("echo alive", timeout_s=LONG_S), "alive\n")


def exec_deadline_output(bench: Bench) -> None:
    """A flood of output does not keep the deadline from ending it."""
    sandbox = bench.start()

    def attempt(timeout_s: float) -> ExecResult | None:
        result = returned(lambda: sandbox.exec("yes", timeout_s=timeout_s), timeout_s)
        same(result.exit_code, None, "exit code")
        if not result.output:
            return result
        same(result.output[:4], b"y\ny\n", "the first output")
        return None

    patiently(attempt)
    ok(sandbox.exec("echo alive", timeout_s=LONG_S), "alive\n")


def exec_background_child(bench: Bench) -> None:
    """A child in the background that holds stdout does not hold up the answer."""
    sandbox, mark = bench.start(), nonce()
    result = returned(lambda: sandbox.exec(f"sleep {mark} & echo done; exit 3", timeout_s=LONG_S), LONG_S)
    same((result.exit_code, result.output), (3, b"done\n"), "exit code and output")


def exec_closed_descriptors(bench: Bench) -> None:
    """A command that closes its standard descriptors still gives its exit code."""
    sandbox = bench.start()
    result = returned(
        lambda: sandbox.exec("exec 0<&- 1>&- 2>&-; sleep 0.2; exit 3", timeout_s=LONG_S), LONG_S
    )
    same((result.exit_code, result.output), (3, b""), "exit code and output")


def exec_stdin(bench: Bench) -> None:
    """Standard input is what was given, then ends; it need not be read."""
    data = bytes(range(256)) * 1200
    sandbox = bench.start()
    ok(sandbox.exec(["cat"], timeout_s=LONG_S, stdin=data), data)
    ok(sandbox.exec(["cat"], timeout_s=LONG_S), b"")
    ok(returned(lambda: sandbox.exec("true", timeout_s=LONG_S, stdin=data * 8), LONG_S), b"")


def exec_environ(bench: Bench) -> None:
    """The environment is exactly the given one; left out, it has PATH, HOME and LANG."""
    sandbox = bench.start()
    given = {"PATH": "/usr/bin:/bin", "A": "b c\n'\"$", "EMPTY": "", "Ü": "ö"}
    found = sandbox.exec(["/usr/bin/env", "-0"], timeout_s=LONG_S, environ=given).text
    same(dict(item.split("=", 1) for item in found.split("\0") if item), given, "the environment")
    found = sandbox.exec(["env"], timeout_s=LONG_S).text
    same([name for name in ("PATH=", "HOME=", "LANG=") if name not in found], [], "what is missing")


def exec_cwd(bench: Bench) -> None:
    """A command runs in the directory given, or in the root; a missing one is no error of ours."""
    sandbox = bench.start()
    ok(sandbox.exec("pwd", timeout_s=LONG_S), "/\n")
    ok(sandbox.exec("pwd", timeout_s=LONG_S, cwd="/usr/lib"), "/usr/lib\n")
    code = sandbox.exec("true", timeout_s=LONG_S, cwd="/no/such/folder").exit_code
    same(code in (None, 0), False, "success in a missing directory")


def exec_user(bench: Bench) -> None:
    """A command runs as the user given: by name, or by numbers that need no name."""
    sandbox = bench.start()
    command = "id -u; id -g"
    ok(sandbox.exec(command, timeout_s=LONG_S), "0\n0\n")
    ok(sandbox.exec(command, timeout_s=LONG_S, user="nobody"), "65534\n65534\n")
    ok(sandbox.exec(command, timeout_s=LONG_S, user="1234:2345"), "1234\n2345\n")


def exec_user_is_ordinary(bench: Bench) -> None:
    """Mode bits bind an ordinary user, and not root."""
    sandbox = bench.start()
    sandbox.write("/srv/secret", b"secret", mode=0o600)
    ok(sandbox.exec("cat /srv/secret", timeout_s=LONG_S), "secret")
    result = sandbox.exec("cat /srv/secret", timeout_s=LONG_S, user="1234:2345")
    same(result.exit_code, 1, "exit code of an ordinary user who reads root's file")


def exec_big_command(bench: Bench) -> None:
    """A command of 100 KB runs."""
    word = "x" * 100_000
    ok(bench.start().exec(f"echo {word} | wc -c", timeout_s=LONG_S), "100001\n")


def exec_nul(bench: Bench) -> None:
    """A command with NUL in it is the caller's mistake, and is not run."""
    sandbox = bench.start()
    raises(UsageError, lambda: sandbox.exec("touch /tmp/a\0b", timeout_s=LONG_S), "NUL in a string")
    raises(UsageError, lambda: sandbox.exec(["echo", "a\0b"], timeout_s=LONG_S), "NUL in a sequence")
    same(sandbox.exec("ls /tmp/a*", timeout_s=LONG_S).exit_code, 2, "exit code of ls")


def exec_together(bench: Bench) -> None:
    """Commands run at the same time in one sandbox, and each gets its own answer."""
    sandbox = bench.start()

    def one(number: int) -> None:
        result = sandbox.exec(f"sleep 0.2; echo {number}; exit {number}", timeout_s=LONG_S)
        same((result.exit_code, result.output), (number, f"{number}\n".encode()), "exit code and output")

    together([partial(one, number) for number in range(8)])


def exec_sees_only_its_own(bench: Bench) -> None:
    """A command sees the processes of its sandbox and no others."""
    first, second, mark = bench.start(), bench.start(), nonce()
    first.exec(f"sleep {mark} >/dev/null 2>&1 &", timeout_s=LONG_S)
    until(lambda: mark in running(first), "it is seen in its own sandbox")
    same(mark in running(second), False, "seen in another")


CHECKS = collect(dict(globals()))

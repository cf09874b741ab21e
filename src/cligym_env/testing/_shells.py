"""Checks of the persistent shell: state that stays, input that breaks naive protocols, ends."""

from __future__ import annotations

import contextlib
import os
from functools import partial

from cligym_env.core import Limits, Shell
from cligym_env.errors import SandboxError, UsageError
from cligym_env.testing._bench import LONG_S, Bench, collect, nonce, ok, raises, returned, same, together

__all__ = ["CHECKS"]


def _run(shell: Shell, command: str, *, timeout_s: float = LONG_S) -> str:
    return returned(lambda: shell.run(command, timeout_s=timeout_s), timeout_s).text


def _code(shell: Shell, command: str) -> int | None:
    return returned(lambda: shell.run(command, timeout_s=LONG_S), LONG_S).exit_code


def _alive(shell: Shell, after: str) -> None:
    same(_run(shell, "echo alive; (exit 5)"), "alive\n", f"output after {after!r}")
    same(_code(shell, "(exit 5)"), 5, f"exit code after {after!r}")


def shell_exit_code(bench: Bench) -> None:
    """The exit code is the last command's own, 128 and the number after a signal."""
    shell = bench.shell()
    for command, code in (
        ("true", 0),
        ("false", 1),
        ("(exit 42)", 42),
        ("no-such-program", 127),
        ("bash -c 'kill -9 $$'", 137),
        ("bash -c 'kill -TERM $$'", 143),
        ("false | true", 0),
        ("", 0),
        ("# a remark", 0),
    ):
        same(_code(shell, command), code, f"exit code of {command!r}")


def shell_state(bench: Bench) -> None:
    """Directory, variables, functions, options and the mask stay from command to command."""
    shell = bench.shell()
    _run(shell, "cd /usr/lib; x='a  b'; export y=2; umask 027; shopt -s extglob")
    _run(shell, 'f() { echo "f $1"; }')
    wanted = "/usr/lib\na  b\n2\n0027\nf 1\n"
    same(_run(shell, "pwd; echo \"$x\"; bash -c 'echo $y'; umask; f 1"), wanted, "output")


def shell_options(bench: Bench) -> None:
    """Strict options bind the user's commands and break nothing else."""
    shell = bench.shell()
    for option in ("set -u", "set -o pipefail", "set -f", "set -o noclobber", "IFS=x", "set -x; set +x"):
        _run(shell, option)
        _alive(shell, option)
    same(_code(shell, "false | true"), 1, "exit code with pipefail")


def shell_output_is_clean(bench: Bench) -> None:
    """The output is what the command printed: no prompt, no echo, nothing added or cut."""
    shell = bench.shell()
    for text in ("", "\n", "no end", "  two  \n\n", "$ \n> \n", "\r\n\x07\x1b[0m"):
        quoted = "".join(f"\\{byte:03o}" for byte in text.encode())
        ok(shell.run(f"printf '%b' '{quoted.replace(chr(92), chr(92) + '0')}'", timeout_s=LONG_S), text)


def shell_output_order(bench: Bench) -> None:
    """What is written to stdout and stderr comes in the order written, and all before the answer."""
    shell = bench.shell()
    wanted = "".join(f"o{i}\ne{i}\n" for i in range(1, 101))
    for _ in range(5):
        same(_run(shell, 'for i in {1..100}; do echo "o$i"; echo "e$i" >&2; done'), wanted, "output")


def shell_unicode(bench: Bench) -> None:
    """Any text goes in and out unchanged."""
    shell = bench.shell()
    for text in ("ä€𝄞", "日本語 \u202e", '\\ "d" $x `y` !z'):
        ok(shell.run(f"cat <<'END'\n{text}\nEND", timeout_s=LONG_S), f"{text}\n")


def shell_binary(bench: Bench) -> None:
    """Every byte value comes out unchanged, NUL too."""
    every = bytes(range(256)) * 3
    octal = "".join(f"\\{byte:03o}" for byte in every)
    ok(bench.shell().run(f"printf '{octal}'", timeout_s=LONG_S), every)


def shell_output_cap(bench: Bench) -> None:
    """Of long output the first and the last half are kept, and the rest is counted."""
    shell = bench.shell(Limits(output_bytes=1000))
    wanted = "".join(f"{i}\n" for i in range(1, 5001)).encode()
    result = shell.run("for i in {1..5000}; do echo $i; done", timeout_s=LONG_S)
    same((result.output[:500], result.output[-500:]), (wanted[:500], wanted[-500:]), "first and last half")
    same(
        (len(result.output), result.n_dropped_bytes),
        (1000, len(wanted) - 1000),
        "bytes kept, bytes dropped",
    )
    _alive(shell, "long output")


def shell_output_long_line(bench: Bench) -> None:
    """A line of 5 MB and 10 MB of lines are read to their end."""
    shell = bench.shell()
    for command, size in (
        ("head -c 5000000 /dev/zero | tr '\\0' x", 5_000_000),
        ("yes 0123456789 | head -c 10000000", 10_000_000),
    ):
        result = returned(partial(shell.run, command, timeout_s=LONG_S), LONG_S)
        same(len(result.output) + result.n_dropped_bytes, size, "bytes kept and dropped")
    _alive(shell, "10 MB of output")


def shell_broken_syntax(bench: Bench) -> None:
    """Text that is no complete command gets an answer, and the shell keeps its state."""
    shell = bench.shell()
    _run(shell, "kept=5")
    broken = (
        *("echo 'open", 'echo "open', "echo $(open", "echo `open", "echo ${open", "cat <<END\nopen"),
        *(
            "echo \\",
            "if true; then",
            "for x in",
            "(",
            ")",
            "{",
            "}",
            "case x in",
            "fi",
            "&&",
            "|",
            "f() {",
        ),
        *("echo a &&", "echo a |", "<<<", "${", "$((1+", "while :; do"),
    )
    for command in broken:
        _run(shell, command)
        same(_run(shell, "echo $kept"), "5\n", f"the variable after {command!r}")


def shell_script(bench: Bench) -> None:
    """Several lines with here-documents, loops and functions run as one command."""
    script = 'f() {\n  cat <<END\nin $1\nEND\n}\nfor i in 1 2\ndo\n  f "$i"\ndone\n# end'
    ok(bench.shell().run(script, timeout_s=LONG_S), "in 1\nin 2\n")


def shell_reads_stdin(bench: Bench) -> None:
    """Standard input is empty: what reads it ends, and eats nothing of what comes after."""
    shell = bench.shell()
    for command in ("cat", "read line", "bash", "sort -", "perl -e 'print <STDIN>'", "cat; cat"):
        same(_run(shell, command), "", f"output of {command!r}")
        _alive(shell, command)


def shell_exit(bench: Bench) -> None:
    """After ``exit`` a new shell stands in the old one's directory, and the result says so."""
    shell = bench.shell()
    _run(shell, "cd /usr/lib; x=1")
    result = returned(lambda: shell.run("echo bye; exit 3", timeout_s=LONG_S), LONG_S)
    same((result.exit_code, result.restarted), (3, True), "code, restarted")
    # An interactive bash may say that it exits, and nothing else.
    same(result.output.removesuffix(b"exit\n"), b"bye\n", "output")
    same(_run(shell, 'pwd; echo "x=$x"'), "/usr/lib\nx=\n", "directory and variable afterwards")
    same(shell.run("true", timeout_s=LONG_S).restarted, False, "restarted after the next command")


def shell_exec(bench: Bench) -> None:
    """After ``exec`` of a program a new shell stands in its place."""
    shell = bench.shell()
    result = returned(lambda: shell.run("exec bash -c 'echo new; exit 4'", timeout_s=LONG_S), LONG_S)
    same(
        (result.exit_code, result.output, result.restarted), (4, b"new\n", True), "code, output, restarted"
    )
    _alive(shell, "exec")


def shell_exec_redirection(bench: Bench) -> None:
    """After ``exec >/dev/null`` exit codes still come, and a new shell prints again."""
    shell = bench.shell()
    _run(shell, "exec >/dev/null 2>&1")
    same(_code(shell, "(exit 5)"), 5, "exit code")
    _run(shell, "exit")
    _alive(shell, "exit")


def shell_set_e(bench: Bench) -> None:
    """With ``set -e`` a failing command gives its code, and the next one runs."""
    shell = bench.shell()
    _run(shell, "set -e")
    same(_code(shell, "(exit 6); true"), 6, "exit code")
    same(_run(shell, "echo alive"), "alive\n", "output")


def shell_kill_itself(bench: Bench) -> None:
    """A shell that kills itself is replaced."""
    shell = bench.shell()
    result = returned(lambda: shell.run("echo a; kill -9 $$", timeout_s=LONG_S), LONG_S)
    same(
        (result.exit_code, result.output, result.restarted), (137, b"a\n", True), "code, output, restarted"
    )
    _alive(shell, "kill -9 $$")


def shell_kill_everything(bench: Bench) -> None:
    """``kill -9 -1`` by root, from the shell and from a child, leaves a sandbox that goes on."""
    sandbox = bench.start()
    shell = sandbox.shell()
    for command in ("kill -9 -1", "bash -c 'kill -9 -1'", "bash -c 'kill -TERM 1; kill -9 1'"):
        _run(shell, command)
        _alive(shell, command)
    ok(sandbox.exec("echo alive", timeout_s=LONG_S), "alive\n")


def shell_redefined(bench: Bench) -> None:
    """Redefined builtins harm nobody but the user's own commands."""
    for name in (
        "printf",
        "echo",
        "eval",
        "test",
        "read",
        "source",
        "trap",
        "local",
        "return",
        "exit",
        "kill",
    ):
        shell = bench.shell()
        _run(shell, f"{name}() {{ :; }}")
        same(_code(shell, "(builtin exit 7)"), 7, f"exit code with {name} redefined")
        same(_run(shell, "cat <<< hello"), "hello\n", f"output with {name} redefined")
        bench.clean()


def shell_redefined_all(bench: Bench) -> None:
    """Redefined keywords of the protocol's own kind end, at worst, in a new shell."""
    shell = bench.shell()
    for command in (
        "builtin() { :; }; command() { :; }",
        "alias echo=false printf=false; shopt -s expand_aliases",
        "enable -n printf echo eval",
        "PROMPT_COMMAND=; unset PROMPT_COMMAND PS1 PS2 PS4; readonly PROMPT_COMMAND",
        "unset -f $(compgen -A function)",
        "PATH=/nowhere",
    ):
        _run(shell, command)
        _run(shell, "exit")
        _alive(shell, command)


def shell_traps(bench: Bench) -> None:
    """Traps fire for the user's commands, and change no exit code."""
    shell = bench.shell()
    _run(shell, "trap 'seen=1' DEBUG; trap ':' ERR; trap ':' RETURN")
    _alive(shell, "trap DEBUG")
    same(_run(shell, "trap - DEBUG ERR; trap 'echo bye' EXIT"), "", "output of trap")
    same(_run(shell, "exit").removeprefix("exit\n"), "bye\n", "output of the trap at the end")
    _alive(shell, "trap EXIT")


def shell_closed_descriptors(bench: Bench) -> None:
    """A shell that closes its descriptors answers, and a new one prints again."""
    shell = bench.shell()
    for command in (
        "exec 0<&- 1>&- 2>&-",
        'for i in {3..255}; do eval "exec $i>&-"; done 2>/dev/null',
        "exec 1<&0",
    ):
        _run(shell, command)
        _run(shell, "echo lost")
        _run(shell, "exit")
        _alive(shell, command)


def shell_two(bench: Bench) -> None:
    """Two shells of one sandbox are apart, and work at the same time."""
    sandbox = bench.start()
    shells = [sandbox.shell(), sandbox.shell()]
    for number, shell in enumerate(shells):
        _run(shell, f"x={number}; cd /tmp; echo $x > file$x")
    outputs = together([partial(_run, shell, "sleep 0.3; echo $x; cat file$x") for shell in shells])
    same(outputs, ["0\n0\n", "1\n1\n"], "outputs")
    _run(shells[0], "exit")
    same(_run(shells[1], "echo $x"), "1\n", "the other one's variable")


def shell_options_given(bench: Bench) -> None:
    """A shell starts as the user, in the directory and with the environment it was given."""
    secret = f"CLIGYM_{nonce()}"
    os.environ[secret] = "host"
    try:
        environ = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "A": "b  c"}
        shell = bench.start().shell(user="nobody", cwd="/usr/lib", environ=environ)
        same(
            _run(shell, 'id -u; pwd; echo "$A"; echo ~; echo $PATH'),
            "65534\n/usr/lib\nb  c\n/tmp\n/usr/bin:/bin\n",
        )
        same(secret in _run(shell, "env"), False, "the host's environment seen inside")
        _run(shell, "A=changed; exit")
        same(_run(shell, 'id -u; echo "$A"'), "65534\nb  c\n", "user and environment of the next shell")
    finally:
        del os.environ[secret]


def shell_big_command(bench: Bench) -> None:
    """A command of 100 KB runs, also when it is one word."""
    shell = bench.shell()
    ok(shell.run(f"x={'y' * 100_000}; echo ${{#x}}", timeout_s=LONG_S), "100000\n")
    ok(shell.run("\n".join(f"x={i}" for i in range(20_000)) + "\necho $x", timeout_s=LONG_S), "19999\n")


def shell_refuses(bench: Bench) -> None:
    """A command with NUL is the caller's mistake; half a surrogate pair, at worst, is one too."""
    shell = bench.shell()
    raises(UsageError, lambda: shell.run("touch /tmp/a\0b", timeout_s=LONG_S), "NUL in a command")
    with contextlib.suppress(UsageError):
        shell.run("echo '\udc80'", timeout_s=LONG_S)
    _alive(shell, "half a surrogate pair")


def shell_close(bench: Bench) -> None:
    """A shell can be closed twice; then it refuses, and the sandbox goes on."""
    sandbox = bench.start()
    shell = sandbox.shell()
    _run(shell, "sleep 0.1 &")
    shell.close()
    shell.close()
    raises(SandboxError, lambda: shell.run("true", timeout_s=LONG_S), "a command after close")
    _alive(sandbox.shell(), "close")


def shell_many_commands(bench: Bench) -> None:
    """300 commands in a row each get their own answer."""
    shell = bench.shell()
    for number in range(300):
        result = shell.run(f"echo {number} >&{1 + number % 2}; (exit {number % 200})", timeout_s=LONG_S)
        same((result.exit_code, result.text), (number % 200, f"{number}\n"), f"answer {number}")


CHECKS = collect(dict(globals()))

"""The command line: what it lists, how it fails, what doctor sees."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cligym_env import cli, plugins
from cligym_env.cli import doctor
from cligym_env.errors import BackendUnavailableError


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return int(end.value.code or 0)


def test_every_command_has_a_line_and_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    known = cli.commands()
    assert {"collect", "demo", "doctor", "export", "gc", "gold", "invert", "play"} <= set(known)
    assert all(line.endswith((".", ":")) or len(line) > 20 for line in known.values())
    for name in known:
        assert run(name, "--help") == 0
        assert "Usage" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert [name for name in cli.commands() if name not in shown] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.strip().count(".") == 2


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doktor") == 2
    assert "No such command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BackendUnavailableError("no engine: install docker.io"), "cligym: no engine: install docker.io\n"),
        (OSError(28, "No space left on device"), "cligym: [Errno 28] No space left on device\n"),
        (
            ModuleNotFoundError("No module named 'openai'", name="openai"),
            "cligym: openai is not installed: pip install 'cligym-env[llm]'\n",
        ),
    ],
)
def test_an_error_is_one_line_and_the_code_two(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(doctor, "examine", fails)
    assert run("doctor") == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", message)


def test_debug_lets_the_error_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise BackendUnavailableError("no engine")

    monkeypatch.setattr(doctor, "examine", fails)
    with pytest.raises(BackendUnavailableError):
        cli.main(["--debug", "doctor"])


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", interrupted)
    assert run("doctor") == 130


def test_a_closed_pipe_is_no_traceback() -> None:
    """``cligym doctor --json | true``: the reader is gone before anything is written."""
    script = "import time; time.sleep(1); from cligym_env.cli import main; main(['doctor', '--json'])"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_doctor_tells_back_ends_and_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    code = run("doctor", "--json")
    found = json.loads(capsys.readouterr().out)
    assert set(found["backends"]) == set(plugins.names("backends"))
    assert found["backends"]["fake"] == []
    assert {"disk free", "inodes free", "/dev/null", "namespaces"} <= set(found["machine"])
    assert code == (0 if found["default"] else 1)


def test_doctor_without_any_back_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise BackendUnavailableError("none")

    monkeypatch.setattr("cligym_env.catalog.default_backend", none)
    monkeypatch.setattr(doctor, "_problems", lambda name: [f"{name}: install something"])
    assert run("doctor") == 1
    said = capsys.readouterr()
    assert "embedded: install something" in said.out
    assert "none" in said.err


def test_gc_says_what_it_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plugins, "names", lambda kind: ("fake",))
    assert run("gc", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"fake": 0}


def test_tables_are_not_cut_in_a_pipe(tmp_path: Path) -> None:
    script = (
        "from cligym_env.cli import _output\n"
        "_output.table('T', ['name', 'value'], [('x' * 300, 1.5), ('[red]markup', 'ä')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "x" * 300 in done.stdout
    assert "[red]markup" in done.stdout
    assert "1.50" in done.stdout

"""The fake back end does for tests what a real one does for tasks."""

import pytest

from cligym_env import plugins
from cligym_env.backends.fake import FakeBackend, State
from cligym_env.errors import BackendUnavailableError, SandboxLostError


def test_handler_plays_commands_and_leaves_the_rest() -> None:
    def handler(command: str, state: State) -> tuple[int, str] | None:
        if command == "make test":
            return (0, "ok\n") if state.disk.at("/testbed/fixed") else (1, "1 failed\n")
        return None

    backend = FakeBackend(handler)
    shell = backend.start(backend.find("base")).shell(cwd="/testbed")
    first = shell.run("make test", timeout_s=1)
    assert (first.exit_code, first.text) == (1, "1 failed\n")
    assert shell.run("touch fixed && make test", timeout_s=1).text == "ok\n"


def test_files_are_in_every_sandbox_of_the_base() -> None:
    backend = FakeBackend(files={"/testbed/setup.cfg": b"[metadata]"})
    sandboxes = [backend.start(backend.find("base")) for _ in range(2)]
    assert [sandbox.read("/testbed/setup.cfg") for sandbox in sandboxes] == [b"[metadata]"] * 2
    plain = plugins.create("backends", "fake")
    with pytest.raises(FileNotFoundError):
        plain.start(plain.find("base")).read("/testbed/setup.cfg")


def test_time_is_virtual() -> None:
    backend = FakeBackend()
    sandbox = backend.start(backend.find("base"))
    assert sandbox.exec("sleep 3600; echo late", timeout_s=4000).text == "late\n"
    cut = sandbox.exec("echo early; sleep 3600; echo late", timeout_s=60)
    assert (cut.timed_out, cut.text) == (True, "early\n")
    assert sandbox.clock_s == 3660


def test_a_lost_sandbox_raises_on_every_call() -> None:
    backend = FakeBackend()
    sandbox = backend.start(backend.find("base"))
    shell = sandbox.shell()
    sandbox.lose()
    for call in (
        lambda: shell.run("true", timeout_s=1),
        lambda: sandbox.exec("true", timeout_s=1),
        lambda: sandbox.read("/etc/passwd"),
        sandbox.freeze,
        sandbox.commit,
    ):
        with pytest.raises(SandboxLostError):
            call()
    sandbox.close()


def test_problems_are_told_and_stop_a_start() -> None:
    backend = FakeBackend(problems=["no engine: install one"])
    assert backend.problems() == ("no engine: install one",)
    with pytest.raises(BackendUnavailableError, match="install one"):
        backend.start(backend.find("base"))


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        ("echo a && false || echo b; echo c", 0, "a\nb\nc\n"),
        ("x=1; (x=2; echo $x); echo \"$x\" '$x'", 0, "2\n1 $x\n"),
        ("echo a >f; echo b >>f; cat f | cat; wc -c <f", 0, "a\nb\n4\n"),
        ("cat nothing 2>/dev/null; echo $?", 0, "1\n"),
        ("bash -c 'exit 3'; echo $?", 0, "3\n"),
        ("mkdir -p a/b; cd a/b; pwd; cd ..; ls", 0, "/a/b\nb\n"),
        ("nothing", 127, "bash: nothing: command not found\n"),
        ("echo $(date)", 2, "bash: syntax error: unexpected ')'\n"),
    ],
)
def test_the_little_shell(command: str, code: int, output: str) -> None:
    backend = FakeBackend()
    result = backend.start(backend.find("base")).exec(command, timeout_s=1)
    assert (result.exit_code, result.text) == (code, output)

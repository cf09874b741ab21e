"""The pytest runner in real sandboxes: exact ids, every kind of outcome, deadlines, no traces."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from cligym_env import gold as golds
from cligym_env import plugins
from cligym_env.core import Backend, Gold, Limits, Sandbox

SUITE = r"""
import os, sys, unittest
import pytest

@pytest.mark.parametrize("x", ["a b", "[x]", "\0", "é\ud800", "a::b", "'\"\\"])
def test_named(x): pass

def test_fails(): assert 0
@pytest.mark.xfail
def test_expected(): assert 0
@pytest.mark.xfail
def test_unexpected(): pass
@pytest.mark.skip
def test_skipped(): pass

class Old(unittest.TestCase):
    def test_part_fails(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertNotEqual(n, 1)
    def test_parts_pass(self):
        for n in range(3):
            with self.subTest(n=n):
                pass
    @unittest.expectedFailure
    def test_expected(self): self.fail()

@pytest.fixture
def after():
    yield
    assert 0
@pytest.fixture
def before(): assert 0
def test_after(after): pass
def test_before(before): pass

def test_user():
    assert os.getuid() == 1000 and os.environ["USER"] == "dev"
    assert os.getcwd() == "/testbed" and sys.path[1] == "/testbed"
    assert sys.stdin.read() == "" if sys.stdin.isatty() else True

def test_fork():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
"""
BROKEN_FILE = "import no_such_module\n"
OUTCOMES = {
    r"test_named[a b]": "passed",
    r"test_named[[x]]": "passed",
    r"test_named[\x00]": "passed",
    r"test_named[\xe9\ud800]": "passed",
    r"test_named[a::b]": "passed",
    "test_named['\"\\\\]": "passed",
    "test_fails": "failed",
    "test_expected": "skipped",
    "test_unexpected": "skipped",
    "test_skipped": "skipped",
    "Old::test_part_fails": "failed",
    "Old::test_parts_pass": "passed",
    "Old::test_expected": "skipped",
    "test_after": "error",
    "test_before": "error",
    "test_user": "passed",
    "test_fork": "passed",
}


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            data = text.encode("utf-8", "surrogatepass")
            member = tarfile.TarInfo(f"testbed/own/{name}.py")
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def gold() -> Gold:
    return replace(golds.load("h11"), test_args=("own",))


@pytest.fixture
def start(real_backend: Backend, gold: Gold) -> Iterator[Callable[..., Sandbox]]:
    opened: list[Sandbox] = []
    image = golds.image(golds.load("h11"), real_backend)

    def begin(**files: str) -> Sandbox:
        opened.append(real_backend.start(image, Limits()))
        opened[-1].put(archive(**files))
        return opened[-1]

    yield begin
    for sandbox in opened:
        sandbox.close()


def run(gold: Gold, sandbox: Sandbox, **options):
    return plugins.create("runners", "pytest").run(gold, sandbox, timeout_s=300, **options)


def test_outcomes_ids_and_choice(gold, start):
    sandbox = start(test_own=SUITE, test_broken=BROKEN_FILE)
    result = run(gold, sandbox)
    assert result.complete, result.log
    assert result.outcomes == {f"own/test_own.py::{name}": wanted for name, wanted in OUTCOMES.items()}
    assert "no_such_module" in result.log
    chosen = [f"own/test_own.py::{name}" for name in OUTCOMES if name.startswith("test_named")]
    some = run(gold, sandbox, only=[*chosen, "own/test_own.py::no such"])
    assert some.complete
    assert some.passed == set(chosen)
    assert set(some.outcomes) == set(chosen)


def test_canaries_fail_and_others_do_not(gold, start):
    sandbox = start(test_own="def test_a(): pass\ndef test_b(): pass\ndef test_c(): assert 0\n")
    result = run(gold, sandbox, canaries=["own/test_own.py::test_a"])
    assert result.complete
    assert list(result.outcomes.values()) == ["failed", "passed", "failed"]


@pytest.mark.parametrize(
    "body",
    [
        "import os; os._exit(0)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.write(250, b'forged')",
        "import os; os.write(250, b'[2,\"end\",0]\\n'); os._exit(0)",
        "import os; os.close(250)",
        "import os; os.kill(os.getppid(), 9)",
        "print('0' * 32, 'eJwDAAAAAAE=', '0' * 32); import os; os._exit(0)",
    ],
)
def test_what_ends_early_or_forges_is_no_whole_report(gold, start, body):
    sandbox = start(test_own=f"def test_a():\n    {body}\ndef test_b(): assert 0\n")
    result = run(gold, sandbox)
    assert "own/test_own.py::test_b" not in result.passed
    assert not result.passed or body.endswith("getppid(), 9)")


def test_the_deadline_ends_a_suite(gold, start):
    sandbox = start(test_own="import time\ndef test_a(): pass\ndef test_b():\n    time.sleep(1000)\n")
    result = plugins.create("runners", "pytest").run(
        replace(gold, test_args=("-p", "no:timeout", "own")), sandbox, timeout_s=10
    )
    assert result.exit_code is None
    assert not result.complete
    assert not result.passed


def test_a_flood_of_output_and_strays_do_not_matter(gold, start):
    text = (
        "import subprocess, sys\n"
        "def test_a():\n"
        "    sys.__stdout__.write('x' * 3_000_000)\n"
        "    subprocess.Popen(['/bin/sh', '-c', 'exec sleep 1000'], start_new_session=True)\n"
    )
    sandbox = start(test_own=text)
    result = run(replace(gold, test_args=("-s", "own")), sandbox)
    assert result.passed == {"own/test_own.py::test_a"}
    assert len(result.log) < 200_000


def test_no_interpreter_is_no_report(gold, start):
    sandbox = start(test_own="def test_a(): pass\n")
    assert sandbox.exec("rm /opt/venv/bin/python", timeout_s=300).exit_code == 0
    result = run(gold, sandbox)
    assert not result.complete
    assert "cannot start the suite" in result.log


def test_nothing_is_left_behind(gold, start, real_backend):
    sandbox = start(test_own="def test_a(): pass\n")
    before = sandbox.exec("find / -xdev -not -path '/proc/*' | sort", timeout_s=300).output
    assert run(gold, sandbox).passed
    after = sandbox.exec("find / -xdev -not -path '/proc/*' | sort", timeout_s=300).output
    new = set(after.splitlines()) - set(before.splitlines())
    assert all(b"__pycache__" in path or b"/tmp/pytest-of-" in path for path in new), new


def test_a_shadowing_module_meets_the_suite_as_it_would_a_user(gold, start):
    sandbox = start(test_own="def test_a(): pass\n")
    sandbox.write("/testbed/argparse.py", b"raise ImportError('shadowed')\n")
    result = run(gold, sandbox)
    assert not result.passed
    assert "shadowed" in result.log

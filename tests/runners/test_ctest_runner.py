"""The ctest runner: ctest's own rules, the user's own rights, results no test program reaches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cligym_env import gold as golds
from cligym_env import plugins
from cligym_env.core import Backend, ExecResult, Gold, Image, Limits, Sandbox, Source
from cligym_env.runners import ctest

PROJECT = r"""
cmake_minimum_required(VERSION 3.20)
project(own NONE)
enable_testing()
add_test(NAME passes COMMAND /bin/true)
add_test(NAME "who am;i $x [==[" COMMAND /bin/sh -c "test $(id -un) = dev && test $FOO = \"a;b\"")
set_tests_properties("who am;i $x [==[" PROPERTIES ENVIRONMENT "FOO=a\\;b;BAR=2")
add_test(NAME fails COMMAND /bin/false)
add_test(NAME expected COMMAND /bin/false)
set_tests_properties(expected PROPERTIES WILL_FAIL TRUE)
add_test(NAME skips COMMAND /bin/sh -c "exit 77")
set_tests_properties(skips PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME disabled COMMAND /bin/true)
set_tests_properties(disabled PROPERTIES DISABLED TRUE)
add_test(NAME prints COMMAND /bin/echo "hello\nworld")
set_tests_properties(prints PROPERTIES PASS_REGULAR_EXPRESSION "wor+ld;zzz")
add_test(NAME missing COMMAND /nonexistent)
set_tests_properties(missing PROPERTIES WILL_FAIL TRUE)
add_test(NAME reaches COMMAND /bin/sh -c "ls -d /.tests-*/CTestTestfile.cmake")
add_test(NAME stray COMMAND /bin/sh -c "(sleep 1000 >/dev/null 2>&1 &) ; true")
"""
OUTCOMES = {
    "passes": "passed",
    "who am;i $x [==[": "passed",
    "fails": "failed",
    "expected": "passed",
    "skips": "skipped",
    "disabled": "skipped",
    "prints": "passed",
    "missing": "failed",
    "reaches": "failed",
    "stray": "passed",
}


@pytest.fixture
def sandbox(real_backend: Backend) -> Iterator[Sandbox]:
    opened = real_backend.start(golds.image(golds.load("cjson"), real_backend), Limits())
    yield opened
    opened.close()


@pytest.mark.slow
def test_ctests_rules_hold_and_programs_are_the_users(sandbox: Sandbox) -> None:
    gold = replace(golds.load("cjson"), workdir="/opt/own", test_args=("build",))
    sandbox.write("/opt/own/CMakeLists.txt", PROJECT.encode())
    made = sandbox.exec("cd /opt/own && cmake -B build . && chown -R dev:dev .", timeout_s=300)
    assert made.exit_code == 0, made.text
    run = plugins.create("runners", "ctest").run
    result = run(gold, sandbox, timeout_s=300)
    assert result.complete, result.log
    assert result.outcomes == OUTCOMES
    some = run(gold, sandbox, timeout_s=300, only=["passes", "who am;i $x [==["])
    assert some.complete
    assert some.passed == {"passes", "who am;i $x [==["}
    assert b".tests-" not in sandbox.exec("ls -a /", timeout_s=300).output


@pytest.mark.slow
def test_no_build_folder_is_no_report(sandbox: Sandbox) -> None:
    gold = replace(golds.load("cjson"), test_args=("nowhere",))
    result = plugins.create("runners", "ctest").run(gold, sandbox, timeout_s=300)
    assert not result.complete
    assert not result.passed


class Told:
    """A sandbox whose ctest says what it is told to say."""

    image = Image("told", "told")

    def __init__(self, output: bytes, exit_code: int = 0) -> None:
        self.result = ExecResult(exit_code, output)

    def exec(self, command, **options):
        return self.result

    def read(self, path, **options):
        raise FileNotFoundError(path)

    def put(self, archive, *, remove=()):
        pass


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"{}",
        b"[" * 9999,
        b'{"tests": 3}',
        b'{"tests": [{}]}',
        b'{"tests": []}',
        b'{"tests": [{"name": 1}]}',
    ],
)
def test_a_listing_that_is_none(output: bytes) -> None:
    gold = Gold("x", Source("debian", "x"), test_args=("build",))
    result = plugins.create("runners", "ctest").run(gold, Told(output), timeout_s=5)
    assert not result.complete
    assert not result.passed


@pytest.mark.parametrize("word", ["", "a b", "]]", "]=]", "x]==]", "a]=", "\nlead", "$ENV{X};\\"])
def test_brackets_hold_any_word(word: str) -> None:
    quoted = ctest._bracket(word)
    level = quoted[1 : quoted.index("[", 1)]
    inner = quoted[len(level) + 2 : -len(level) - 2]
    assert quoted.endswith(f"]{level}]")
    assert f"]{level}]" not in inner
    assert inner.removeprefix("\n") == word

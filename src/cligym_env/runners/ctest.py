"""Runs a CTest suite: ctest as root in a folder nobody else can enter, each test program as the user.

The build folder's tests are listed first, as the user (``ctest --show-only=json-v1``). From that
list a test file is made whose commands drop to the user, and ctest runs it. So ctest's own rules
(fixtures, expected failures, regular expressions, time-outs) hold, and no test program can reach
the file with the results. CMake 3.21 or newer.
"""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

from cligym_env import environ
from cligym_env.core import Gold, Sandbox, SuiteResult
from cligym_env.runners import _records, _warden

__all__ = ["CTestRunner", "create"]

CTEST = "/usr/bin/ctest"
SETPRIV = "/usr/bin/setpriv"
_LIST_TIMEOUT_S = 300.0
_TEST_TIMEOUT_S = 120
_REPORT = "report.xml"


class CTestRunner:
    """The runner for CTest suites.

    ``gold.test_args`` holds the build folder, relative to the work folder, then options that
    choose tests, as ctest has them.
    """

    name = "ctest"

    def run(
        self, gold: Gold, sandbox: Sandbox, *, timeout_s: float, only: Sequence[str] = ()
    ) -> SuiteResult:
        """Run the suite as ``gold.user``; see ``core.Runner``.

        Raises:
            SandboxLostError: the sandbox is gone.
        """
        variables = environ.of(gold, sandbox, user=gold.user)
        tests, log = _listed(gold, sandbox, variables)
        wanted = [test for test in tests if not only or test["name"] in only]
        if not wanted:
            return SuiteResult({}, bool(tests), -1, log)
        folder = f"/.tests-{secrets.token_hex(16)}"
        identity = _identity(gold.user, sandbox)
        sandbox.put(_folder(folder, _test_file(wanted, identity)))
        try:
            report = _warden.watch(
                sandbox,
                [
                    CTEST,
                    "--output-on-failure",
                    "--timeout",
                    str(_TEST_TIMEOUT_S),
                    "--output-junit",
                    _REPORT,
                ],
                user="root",
                cwd=folder,
                environ=variables,
                timeout_s=timeout_s,
            )
            outcomes = _outcomes(sandbox, f"{folder}/{_REPORT}")
        finally:
            sandbox.put(_empty(), remove=[folder])
        names = {test["name"] for test in wanted}
        whole = report.whole and report.exit_code in (0, 8) and outcomes.keys() == names
        return SuiteResult(outcomes, whole, report.exit_code, report.log)


def create() -> CTestRunner:
    """Give the runner."""
    return CTestRunner()


def _listed(gold: Gold, sandbox: Sandbox, variables: dict[str, str]) -> tuple[list[dict[str, Any]], str]:
    """What ctest finds in the build folder, and what it said; nothing when it cannot read it."""
    build, *options = gold.test_args or (".",)
    result = sandbox.exec(
        [CTEST, "--show-only=json-v1", *options],
        timeout_s=_LIST_TIMEOUT_S,
        user=gold.user,
        cwd=f"{gold.workdir}/{build}",
        environ=variables,
    )
    if result.exit_code != 0:
        return [], result.text
    try:
        tests = json.loads(result.output)["tests"]
        return [test for test in tests if isinstance(test["name"], str)], ""
    except (ValueError, KeyError, TypeError, RecursionError):
        return [], result.text[-4096:]


def _identity(user: str, sandbox: Sandbox) -> list[str]:
    """The arguments that drop to a user; of an unknown one, those that drop to nobody.

    None where the sandbox holds one id only, so that there is no other user to become.
    """
    ids_here = sandbox.exec(["/bin/cat", "/proc/self/uid_map"], timeout_s=_LIST_TIMEOUT_S).output
    if [line.split()[2:] for line in ids_here.splitlines()] == [[b"1"]]:
        return []
    ids = "65534", "65534"
    for line in sandbox.read("/etc/passwd").decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] == user and len(fields) > 3:
            ids = fields[2], fields[3]
    return [SETPRIV, f"--reuid={ids[0]}", f"--regid={ids[1]}", "--init-groups", "--"]


def _test_file(tests: Sequence[dict[str, Any]], identity: list[str]) -> str:
    lines: list[str] = []
    for test in tests:
        command = test.get("command") or ["/bin/false"]
        lines.append(f"add_test({_quoted(test['name'], *identity, *command)})")
        if "command" not in test:  # no such program: that must not satisfy a test that expects failure
            continue
        for entry in test.get("properties", ()):
            value = _property(entry.get("value"))
            if value is not None:
                name, pair = _quoted(test["name"]), _quoted(entry["name"], value)
                lines.append(f"set_tests_properties({name} PROPERTIES {pair})")
    return "\n".join(lines) + "\n"


def _property(value: object) -> str | None:
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ";".join(item.replace(";", "\\;") for item in value)
    return None


def _quoted(*words: str) -> str:
    """Bracket arguments: CMake takes them as they are."""
    return " ".join(_bracket(word) for word in words)


def _bracket(word: str) -> str:
    level = "="
    while f"]{level}]" in word + "]":
        level += "="
    lead = "\n" if word.startswith("\n") else ""  # CMake drops the first newline
    return f"[{level}[{lead}{word}]{level}]"


def _folder(path: str, test_file: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folder = tarfile.TarInfo(path.lstrip("/"))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(folder)
        member = tarfile.TarInfo(f"{path.lstrip('/')}/CTestTestfile.cmake")
        data = test_file.encode("utf-8", "surrogateescape")
        member.size, member.mode = len(data), 0o600
        tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _empty() -> bytes:
    buffer = io.BytesIO()
    tarfile.open(fileobj=buffer, mode="w").close()
    return buffer.getvalue()


def _outcomes(sandbox: Sandbox, path: str) -> dict[str, str]:
    try:
        tree = ElementTree.fromstring(sandbox.read(path))  # noqa: S314 — written by ctest, as root
    except (FileNotFoundError, OverflowError, ElementTree.ParseError):
        return {}
    return _records.merge(_cases(tree))


def _cases(tree: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for case in tree.iter("testcase"):
        outcome = {"run": "passed", "fail": "failed"}.get(case.get("status", ""), "skipped")
        if outcome == "passed" and (case.find("failure") is not None or case.find("skipped") is not None):
            outcome = "failed"
        yield case.get("name", ""), outcome

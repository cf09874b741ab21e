"""Runs a pytest suite and gives each test's outcome, from records and never from printed text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cligym_env import environ
from cligym_env.core import Gold, Sandbox, SuiteResult
from cligym_env.runners import _records, _warden

__all__ = ["PytestRunner", "create"]

INTERPRETER = "/opt/venv/bin/python"
ARGS = (
    "-q",
    "--tb=short",
    "--color=no",
    "-p",
    "no:cacheprovider",
    "-o",
    "addopts=",
    "--continue-on-collection-errors",
)
"""A file that cannot be imported must not hide the other files' tests."""


class PytestRunner:
    """The runner for pytest suites.

    The suite's process gets the program text on its command line and its settings on standard
    input; nothing is written into the sandbox by the runner itself.

    Args:
        wrap: an argument vector put before the interpreter, for observers such as ``strace``.
        variables: further environment variables, for observers.
    """

    name = "pytest"
    has_canaries = True

    def __init__(self, wrap: Sequence[str] = (), variables: Mapping[str, str] | None = None) -> None:
        self._wrap = tuple(wrap)
        self._variables = dict(variables or {})

    def run(
        self,
        gold: Gold,
        sandbox: Sandbox,
        *,
        timeout_s: float,
        only: Sequence[str] = (),
        canaries: Sequence[str] = (),
    ) -> SuiteResult:
        """Run the suite as ``gold.user``; see ``core.Runner``.

        Args:
            gold: the recipe.
            sandbox: where.
            timeout_s: deadline of the run.
            only: node ids to run; all when empty.
            canaries: node ids of tests that are made to fail after they ran.

        Raises:
            SandboxLostError: the sandbox is gone.
        """
        settings = {"args": [*ARGS, *gold.test_args], "only": sorted(only), "canaries": sorted(canaries)}
        report = _warden.watch(
            sandbox,
            [*self._wrap, INTERPRETER, "-c", _warden.program("suite")],
            user=gold.user,
            cwd=gold.workdir,
            environ={**environ.of(gold, sandbox, user=gold.user), **self._variables},
            timeout_s=timeout_s,
            feed=ascii(settings).encode(),
        )
        outcomes, whole = _records.check(report.records, report.exit_code)
        return SuiteResult(outcomes, report.whole and whole, report.exit_code, report.log)


def create(*, wrap: Sequence[str] = (), variables: Mapping[str, str] | None = None) -> PytestRunner:
    """Give the runner."""
    return PytestRunner(wrap, variables)

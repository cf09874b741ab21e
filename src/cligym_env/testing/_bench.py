"""What checks stand on: a bench that cleans up, a watchdog, comparisons that explain themselves."""

from __future__ import annotations

import contextlib
import inspect
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cligym_env import plugins
from cligym_env.core import Backend, ExecResult, Image, Limits, Sandbox, Shell

__all__ = [
    "Bench",
    "Check",
    "Report",
    "Skipped",
    "check_backend",
    "collect",
    "returned",
    "run_check",
    "same",
    "until",
]

T = TypeVar("T")

HANG_S = 240.0
"""How long a call may take beyond its own deadline before a check calls it hung: far more than the
5 s of the contract, for the machine may be busy, and a check shall fail for one reason only."""

LONG_S = 240.0
"""Deadline of calls that should end by themselves."""


class Skipped(Exception):  # noqa: N818 - it is no error
    """A check the back end declares it cannot pass; the message is its reason."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and the function that tries it.

    Attributes:
        name: of the promise.
        function: raises AssertionError when it is not kept.
    """

    name: str
    function: Callable[[Bench], None]

    @property
    def about(self) -> str:
        """The promise in one sentence."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Bench:
    """A back end and an image to try it with. Closes what a check started.

    Attributes:
        backend: under test.
        image: to start from; holds bash, coreutils and perl.
        create: gives another object of the same back end; by name when left out.
    """

    backend: Backend
    image: Image
    create: Callable[[], Backend] | None = None
    _open: list[Any] = field(default_factory=list)

    def start(self, image: Image | None = None, limits: Limits | None = None) -> Sandbox:
        """Start a sandbox, which lives until the check ends."""
        sandbox = self.backend.start(image or self.image, limits or Limits())
        self._open.append(sandbox)
        return sandbox

    def shell(self, limits: Limits | None = None, **options: Any) -> Shell:
        """Open a shell in a sandbox of its own."""
        return self.start(limits=limits).shell(**options)

    def another(self) -> Backend:
        """Make another object of the back end, closed when the check ends."""
        made = self.create() if self.create else plugins.create("backends", self.backend.name)
        self._open.append(made)
        return made

    def clean(self) -> None:
        """Close everything that a check left open."""
        while self._open:
            self._open.pop().close()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run of checks.

    Attributes:
        backend: name of the back end.
        failures: name of the check → what was found.
        skipped: name of the check → why the back end does not promise it.
        n_passed: how many passed.
    """

    backend: str
    failures: Mapping[str, str]
    skipped: Mapping[str, str]
    n_passed: int

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    def summary(self) -> str:
        """Give one line for the run and one for each failure and each skip."""
        lines = [
            f"{self.backend}: {self.n_passed} passed, {len(self.failures)} failed, "
            f"{len(self.skipped)} not promised"
        ]
        lines += [f"failed {name}: {why}" for name, why in self.failures.items()]
        lines += [f"not promised {name}: {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)


def check_backend(backend: Backend, image: Image, *, checks: Iterable[Check] = ()) -> Report:
    """Run the checks over a back end.

    Args:
        backend: any object that keeps ``core.Backend``.
        image: in its store; with bash, coreutils and perl.
        checks: all of ``CHECKS`` when left out.

    Returns:
        The report; nothing is raised for what a check found.
    """
    # Here, not above: the package lists its checks from modules that import this one.
    from cligym_env.testing import CHECKS  # noqa: PLC0415

    failures: dict[str, str] = {}
    skipped: dict[str, str] = {}
    n_passed = 0
    for check in tuple(checks) or CHECKS:
        try:
            run_check(check, Bench(backend, image))
            n_passed += 1
        except Skipped as reason:
            skipped[check.name] = str(reason)
        except Exception as error:
            failures[check.name] = "".join(traceback.format_exception_only(error)).strip()
    return Report(backend.name, failures, skipped, n_passed)


def run_check(check: Check, bench: Bench) -> None:
    """Run one check, and clean up after it whatever it did.

    Raises:
        Skipped: the back end does not promise it.
        AssertionError: the promise is not kept.
    """
    declared: Mapping[str, str] = getattr(bench.backend, "not_conforming", {})
    if check.name in declared:
        raise Skipped(declared[check.name])
    try:
        check.function(bench)
    finally:
        returned(bench.clean, 0)


def collect(namespace: Mapping[str, Any]) -> tuple[Check, ...]:
    """Make a check of every public function that a module defines itself, in its order."""
    return tuple(
        Check(name, value)
        for name, value in namespace.items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and value.__module__ == namespace["__name__"]
    )


def returned(call: Callable[[], T], deadline_s: float) -> T:
    """Give what a call returns; fail when it is still away long after its deadline.

    Args:
        call: what to do, in a thread of its own.
        deadline_s: the deadline the call itself was given; ``HANG_S`` is added.
    """
    outcome: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(deadline_s + HANG_S)
    if errors:
        raise errors[0]
    if not outcome:
        raise AssertionError(f"the call hung: no answer {HANG_S:.0f} s after its deadline")
    return outcome[0]


def same(found: object, wanted: object, about: str = "") -> None:
    """Fail unless two values are equal, and say which they are."""
    if found != wanted:
        raise AssertionError(f"{about or 'it'} is {_short(found)}, and should be {_short(wanted)}")


def until(condition: Callable[[], bool], about: str) -> None:
    """Wait until something holds; fail when it does not for ``HANG_S``."""
    end = time.monotonic() + HANG_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{about}: not so after {HANG_S:.0f} s")
        time.sleep(0.05)


def raises(kind: type[BaseException], call: Callable[[], object], about: str) -> None:
    """Fail unless a call raises an error of a kind; other errors go through."""
    with contextlib.suppress(kind):
        call()
        raise AssertionError(f"{about}: no {kind.__name__} was raised")


def nonce() -> str:
    """Give digits that nothing else on the machine holds: also a long time to sleep."""
    return str(secrets.randbelow(10**12) + 10**12)


def running(sandbox: Sandbox) -> str:
    """Give the command lines of everything that runs in a sandbox, one a line."""
    command = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null"
    return sandbox.exec(command, timeout_s=LONG_S).text


def patiently(attempt: Callable[[float], ExecResult | None]) -> None:
    """Try what must show something before its deadline with longer and longer ones.

    A short deadline may come before the command has done anything: the machine may be busy. Only
    the longest one is a failure of the back end.

    Args:
        attempt: given the deadline; returns the result when that deadline was too short to tell.
    """
    found: list[bytes] = []
    for timeout_s in (2.0, 10.0, 60.0):
        result = attempt(timeout_s)
        if result is None:
            return
        found.append(result.output)
    raise AssertionError(f"not enough was printed, with ever longer deadlines: {_short(found)}")


def gone(sandbox: Sandbox, mark: str) -> None:
    """Wait until no process in the sandbox has the mark on its command line."""
    until(lambda: mark not in running(sandbox), f"nothing with {mark} runs any more")


def ok(result: ExecResult, output: bytes | str | None = None) -> None:
    """Fail unless a command ended with 0, and printed just this, if given."""
    same(result.exit_code, 0, f"exit code (output {_short(result.output)})")
    if output is not None:
        wanted = output.encode() if isinstance(output, str) else output
        same(result.output, wanted, "output")


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run calls at the same time, each in a thread, and give what they return, in order."""
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def work(place: int, call: Callable[[], T]) -> None:
        try:
            results[place] = call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S + HANG_S)
    if errors:
        raise errors[0]
    same(len(results), len(calls), "the number of calls that returned")
    return [results[place] for place in range(len(calls))]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:150]} … {text[-150:]}"

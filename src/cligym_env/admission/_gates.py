"""The gates, in order; the first that refuses ends the way of a candidate."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from cligym_env import tasks
from cligym_env.admission import _audit, _paths
from cligym_env.admission._rig import Rig
from cligym_env.core import Backend, Gold, Image, Inversion, PathState, Task
from cligym_env.errors import GoldError, RejectedError, UsageError

__all__ = ["GATES", "N_BROKEN", "N_SOLUTION", "admit", "check_broken", "check_gold"]

GATES = (
    "gold",
    "replay",
    "paths",
    "leaks",
    "broken",
    "pass_to_pass",
    "instruction",
    "size",
    "noop",
    "solution",
)
"""Names of the gates, in order; ``RejectedError.gate`` is one of them."""

N_BROKEN = 3
N_SOLUTION = 3
_MAX_HINT_CHARS = 240

_SLOWER = 10.0
_LEAST_DEADLINE_S = 60.0

_gold_s: dict[tuple[str, str, str], float] = {}
"""Golds that were seen to hold by this process, and how many seconds their suites took."""


def admit(
    inversion: Inversion,
    gold: Gold,
    backend: Backend,
    *,
    seed: int,
    passed: Callable[[str], None] = lambda gate: None,
) -> Task:
    """Turn a candidate into a task, if it passes every gate.

    Args:
        inversion: the candidate.
        gold: the gold it breaks.
        backend: where its sandboxes start.
        seed: the breaker's, for the record.
        passed: is told the name of each gate passed.

    Raises:
        RejectedError: names the gate that refused it and why.
        GoldError: the gold itself does not hold here.
        SandboxError: the machine failed; says nothing about the candidate.
    """
    if inversion.gold != gold.name:
        raise UsageError(f"the inversion is of {inversion.gold}, not of {gold.name}")
    return _Admission(Rig(gold, backend), inversion, seed, passed).run()


class _Admission:
    """The way of one candidate; each gate notes what it measured."""

    def __init__(self, rig: Rig, inversion: Inversion, seed: int, passed: Callable[[str], None]) -> None:
        self._rig, self._inversion, self._seed, self._passed = rig, inversion, seed, passed
        self._measured: dict[str, str] = {}

    def run(self) -> Task:
        rig, gold = self._rig, self._rig.gold
        self._note("gold", check_gold(rig))
        paths, image = self._break()
        failing, log = check_broken(rig, image, paths)
        self._note("broken", f"the same {len(failing)} fail in {N_BROKEN} of {N_BROKEN}")
        n_guards = len(gold.passing) - len(failing)
        if n_guards < 1:
            raise RejectedError("pass_to_pass", "no test is left that passes")
        self._note("pass_to_pass", f"{n_guards} still pass")
        task = self._task(paths, failing, log)
        self._note("instruction", _check_texts(task, gold))
        self._note("size", _check_size(task, gold))
        self._note("noop", _check_noop(rig, task, image))
        self._note("solution", _check_solution(rig, task, image))
        return replace(task, gates=dict(self._measured))

    def _note(self, gate: str, measured: str) -> None:
        self._measured[gate] = measured
        self._passed(gate)

    def _break(self) -> tuple[tuple[PathState, ...], Image]:
        """Replay twice, compare, audit, seal, commit."""
        rig, gold, commands = self._rig, self._rig.gold, self._inversion.commands
        with rig.start() as pristine, rig.start() as first, rig.start() as second:
            for sandbox in (first, second):
                done = tasks.replay(commands, gold, sandbox)
                if done.failed is not None:
                    raise RejectedError("replay", done.reason(commands))
            original = pristine.freeze()
            snapshot = first.freeze()
            paths = tasks.states(snapshot, original, inside=rig.inside)
            again = tasks.states(second.freeze(), original, inside=rig.inside)
            if paths != again:
                differing = {state.path for state in {*paths} ^ {*again}}
                raise RejectedError("replay", f"two replays differ at {min(differing)}")
            self._note("replay", f"{len(commands)} commands, twice the same")
            self._note("paths", _paths.check(paths, gold))
            with rig.start() as searcher:
                self._note("leaks", _audit.check(paths, snapshot, original, gold, searcher))
            return paths, tasks.commit(
                paths, first, snapshot, gold=gold, backend=rig.backend, base=rig.base
            )

    def _task(self, paths: tuple[PathState, ...], failing: Sequence[str], log: str) -> Task:
        name = tasks.task_id(self._inversion)
        return Task(
            id=name,
            inversion=self._inversion,
            seed=self._seed,
            fail_to_pass=tuple(sorted(failing)),
            n_pass_to_pass=len(self._rig.gold.passing) - len(failing),
            paths=paths,
            symptoms=tasks.scrub(tasks.failures(log), self._inversion, paths),
            split=tasks.split_of(name),
            gold_hash=self._rig.gold.content_hash,
            gates=dict(self._measured),
            version=importlib.metadata.version("cligym-env"),
        )


def check_gold(rig: Rig) -> str:
    """Run the gold's suite once; the second time in one process it is known to hold.

    Raises:
        GoldError: a test of its passing set does not pass.
    """
    gold, key = rig.gold, _key(rig)
    if key not in _gold_s:
        started_s = time.monotonic()
        result = rig.run_suite()
        missing = sorted(set(gold.passing) - result.passed)
        if missing or not gold.passing:
            raise GoldError(f"the gold {gold.name} does not hold on {rig.backend.name}", missing)
        _gold_s[key] = time.monotonic() - started_s
    return f"{len(gold.passing)} pass"


def _key(rig: Rig) -> tuple[str, str, str]:
    return rig.backend.name, rig.base.ref, rig.gold.content_hash


def _deadline_s(rig: Rig) -> float:
    """A broken suite may be slower than gold's, but what only waits is no task to work at."""
    return min(rig.gold.timeout_s, max(_LEAST_DEADLINE_S, _SLOWER * _gold_s.get(_key(rig), 0.0)))


def check_broken(rig: Rig, image: Image, paths: Sequence[PathState]) -> tuple[tuple[str, ...], str]:
    """Run the broken suite in fresh sandboxes; the failing tests, sorted, and what was printed.

    Raises:
        RejectedError: no test fails, or not the same ones each time, a report is not whole, or
            the run alone mends what was broken.
    """
    seen: set[tuple[str, ...]] = set()
    log = ""
    for turn in range(N_BROKEN):
        result, mended = rig.run_and_watch(image, paths, timeout_s=_deadline_s(rig))
        if not result.complete:
            how = "its deadline" if result.exit_code is None else f"exit code {result.exit_code}"
            raise RejectedError("broken", f"the suite ends before its end, with {how}")
        failing = tuple(sorted(set(rig.gold.passing) - result.passed))
        if not failing:
            raise RejectedError("broken", f"no test fails in run {turn + 1}")
        if mended:
            raise RejectedError("broken", f"the run itself mends {mended[0]}")
        seen.add(failing)
        if len(seen) > 1:
            few, many = sorted(map(len, seen))
            raise RejectedError("broken", f"runs differ: {few} tests fail in one, {many} in another")
        log = log or result.log
    return next(iter(seen)), log


def _check_texts(task: Task, gold: Gold) -> str:
    hint = task.inversion.hint
    if not hint.strip() or "\n" in hint or len(hint) > _MAX_HINT_CHARS:
        raise RejectedError("instruction", f"the hint is one sentence of at most {_MAX_HINT_CHARS} letters")
    if not task.symptoms.strip("… \n"):
        raise RejectedError("instruction", "the failing run shows no symptom that does not name the cause")
    for guidance in (0, 1, 2):
        for with_hint in (False, True):
            text = tasks.instruction(task, gold, guidance=guidance, hint=with_hint)
            told = tasks.leaks(text, task.inversion, task.paths)
            if told:
                where = "the hint" if with_hint else f"guidance {guidance}"
                raise RejectedError("instruction", f"{where} names the cause: {told[0]}")
    return "6 texts name no cause"


def _check_size(task: Task, gold: Gold) -> str:
    size_bytes = tasks.size_bytes(task, gold)
    if size_bytes > tasks.MAX_FOLDER_BYTES:
        raise RejectedError("size", f"its folder takes {size_bytes} of {tasks.MAX_FOLDER_BYTES} bytes")
    return f"{-(-size_bytes // 1024)} KiB"


def _check_noop(rig: Rig, task: Task, image: Image) -> str:
    verdict = rig.verdict(task, image)
    if verdict.resolved:
        raise RejectedError("noop", "doing nothing earns 1")
    return "0"


def _check_solution(rig: Rig, task: Task, image: Image) -> str:
    for turn in range(N_SOLUTION):
        verdict = rig.verdict(task, image, task.inversion.solution)
        if not verdict.resolved:
            raise RejectedError("solution", f"earns 0 in run {turn + 1}: {verdict.reason}")
    return f"1 in {N_SOLUTION} of {N_SOLUTION}"

"""Tests → verdict, in a way the policy's own sandbox cannot reach; see ``docs/verification.md``.

The process that reports "passed" *is* the environment under repair, so no secret inside it survives.
But gold is ours. So nothing is ever judged on the policy's disk: judged is **the graft, gold with
the policy's final state at the paths the inversion touched**. Every other change is dropped by
construction instead of being recognised by a pattern.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cligym_env import gold as golds
from cligym_env import tasks
from cligym_env.core import Backend, Gold, Image, Outcome, Snapshot, SuiteResult, Task, Verdict
from cligym_env.errors import SandboxError
from cligym_env.verify import _controls, _screen
from cligym_env.verify._graft import Graft, RemadeError
from cligym_env.verify._pristine import Pristine
from cligym_env.verify._run import MAX_MISSES, Suite
from cligym_env.verify._states import Finding, Survey, survey

__all__ = ["Images", "verify"]

_DATA = (".json", ".toml", ".txt", ".csv", ".ini", ".cfg", ".yaml", ".yml", ".env", ".xml", ".lock", ".pid")


@dataclass(frozen=True, slots=True)
class Images:
    """What a task is judged with.

    Attributes:
        gold: the image of its gold.
        task: its own image, from which the policy's sandbox started.
    """

    gold: Image
    task: Image


def verify(
    task: Task, gold: Gold, snapshot: Snapshot, backend: Backend, *, images: Images | None = None
) -> Verdict:
    """Judge the disk a policy left.

    Args:
        task: the task.
        gold: its gold.
        snapshot: the frozen disk of the policy's sandbox, which started from the task's image.
        backend: where the judging sandboxes start; holds the images.
        images: of gold and task; looked up, and made when missing, if left out.

    Returns:
        ``resolved`` only if every fail-to-pass and every pass-to-pass test passed on the graft.
        ``error`` only for the machine's failures; what the policy caused is ``unresolved``.
        Nothing the policy did raises.
    """
    pristine = None
    try:
        known = images or Images(golds.image(gold, backend), tasks.image(task, gold, backend))
        pristine = Pristine(backend, known.gold)
        return _Verification(task, gold, backend, known, pristine).judge(snapshot)
    except (SandboxError, OSError) as error:
        return Verdict(Outcome.ERROR, f"{type(error).__name__}: {error}")
    finally:
        if pristine is not None:
            pristine.close()


class _Verification:
    """One judgement."""

    def __init__(
        self, task: Task, gold: Gold, backend: Backend, images: Images, pristine: Pristine
    ) -> None:
        self._task, self._gold, self._backend = task, gold, backend
        self._images, self._pristine = images, pristine
        self._suite = Suite(gold, backend, images.gold)
        self._guards = frozenset(gold.passing) - frozenset(task.fail_to_pass)

    def judge(self, snapshot: Snapshot) -> Verdict:
        """Survey, decide, graft, run."""
        found = survey(self._task, self._gold, snapshot, self._pristine)
        refused = found.of("quarantined") or self._screened(found)
        if refused:
            return _quarantine(refused[0], found)
        graft = Graft(self._backend, self._images.gold, self._images.task, found, self._pristine)
        try:
            return replace(self._run(graft), flags=found.flags)
        except RemadeError as error:
            remade = next(one for one in found.findings if one.path == error.path)
            return _quarantine(replace(remade, reason="not what its own program makes"), found)

    def _screened(self, found: Survey) -> list[Finding]:
        """The policy's own files under test that may not run with the assertions."""
        refused = []
        for finding in found.of("source"):
            reason = self._objection(finding)
            if reason:
                refused.append(replace(finding, kind="quarantined", reason=reason))
        return refused

    def _objection(self, finding: Finding) -> str:
        if not self._suite.has_canaries:
            return f"own code, and the runner {self._gold.runner} has no control runs"
        if finding.path.endswith(".py"):
            return _screen.objection(finding.content, self._pristine.content(finding.path))
        return "" if finding.path.endswith(_DATA) else "own file of a kind that is not screened"

    def _run(self, graft: Graft) -> Verdict:
        first = self._suite.run(graft)
        verdict = self._count(first, "")
        n_failing = len(self._task.fail_to_pass) - verdict.n_fail_to_pass
        if first.complete and not n_failing and 0 < verdict.n_broken <= MAX_MISSES:
            missed = ", ".join(sorted(self._guards - first.passed))
            verdict = self._count(self._suite.run(graft), f"; the first run missed {missed}")
        if verdict.n_fail_to_pass and graft.survey.of("source"):
            repaired = [test for test in self._task.fail_to_pass if verdict.tests.get(test) == "passed"]
            against = _controls.contradiction(graft, self._gold, self._suite, repaired)
            if against:
                return Verdict(Outcome.UNRESOLVED, f"control run: {against}", verdict.tests)
        return verdict

    def _count(self, result: SuiteResult, note: str) -> Verdict:
        """Missing is never passed; a report that is not whole counts for nothing."""
        wanted = self._task.fail_to_pass
        passed = result.passed
        n_repaired = len(passed.intersection(wanted))
        n_broken = len(self._guards - passed)
        if not result.complete:
            return Verdict(
                Outcome.UNRESOLVED,
                f"what was left breaks the whole run{note}",
                n_broken=n_broken,
                fraction=-1.0 if self._guards else 0.0,
            )
        resolved = n_repaired == len(wanted) and not n_broken
        share_broken = n_broken / len(self._guards) if self._guards else 0.0
        reason = f"{n_repaired} of {len(wanted)} repaired, {n_broken} of {len(self._guards)} broken"
        return Verdict(
            Outcome.RESOLVED if resolved else Outcome.UNRESOLVED,
            reason + note,
            self._expected(result.outcomes),
            n_repaired,
            n_broken,
            n_repaired / len(wanted) - share_broken,
        )

    def _expected(self, outcomes: Mapping[str, str]) -> dict[str, str]:
        return {test: outcomes.get(test, "missing") for test in self._gold.passing}


def _quarantine(finding: Finding, found: Survey) -> Verdict:
    return Verdict(
        Outcome.UNRESOLVED,
        f"quarantined: {finding.path}: {finding.reason}",
        flags=(f"quarantined: {finding.path}", *found.flags),
    )

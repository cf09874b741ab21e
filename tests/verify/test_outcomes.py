"""Three outcomes: the machine's doing is an error, the policy's is unresolved, a rerun pays nothing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from cligym_env import verify as package
from cligym_env.core import Entry, Gold, Image, Inversion, Outcome, PathState, Source, SuiteResult, Task
from cligym_env.errors import SandboxError
from cligym_env.verify import Images, _run, verify
from cligym_env.verify._graft import RemadeError
from cligym_env.verify._states import Finding, Survey

TESTS = ("a", "b", "c", "d", "e")
GOLD = Gold("g", Source("local", "x"), passing=TESTS, timeout_s=5.0)
STATE = PathState("/testbed/x.py", Entry("file", sha256="1"), Entry("file", sha256="2"))
TASK = Task("g.x.1", Inversion("g", "x", "other", (), (), ""), 0, ("a",), 4, (STATE,), "", "train", "")
IMAGES = Images(Image("stub", "gold"), Image("stub", "task"))


def suite(*failing: str, complete: bool = True, exit_code: int | None = 0) -> SuiteResult:
    outcomes = {name: "failed" if name in failing else "passed" for name in TESTS}
    return SuiteResult(outcomes, complete, exit_code)


BROKEN = suite(complete=False)
HUNG = suite(complete=False, exit_code=None)


class Sandbox:
    def close(self) -> None:
        pass


@dataclass
class Machine:
    """A back end and a runner in one: gives what it is told, in order, the last again and again."""

    on_gold: list = field(default_factory=lambda: [suite()])
    on_graft: list = field(default_factory=lambda: [suite()])
    name: str = "stub"
    n_graft_runs: int = 0

    def start(self, image, limits=None):
        return Sandbox()

    def run(self, gold, sandbox, *, timeout_s, only=(), canaries=()):
        on_graft = isinstance(sandbox, Grafted)
        self.n_graft_runs += on_graft
        script = self.on_graft if on_graft else self.on_gold
        result = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(result, Exception):
            raise result
        return result


class Grafted(Sandbox):
    pass


@dataclass
class Graft:
    survey: Survey
    is_gold: bool = False

    @contextmanager
    def start(self):
        yield Grafted()


@pytest.fixture
def judge(monkeypatch):
    """Judge a state of one kind on a scripted machine."""

    def run(machine: Machine, kind: str = "inert"):
        finding = Finding(STATE.path, kind, STATE.broken, STATE.broken, STATE.gold)
        found = Survey((finding,), ())
        monkeypatch.setattr(package, "survey", lambda *rest: found)
        monkeypatch.setattr(package, "Graft", lambda *rest: Graft(found, is_gold=kind == "gold"))
        monkeypatch.setattr(_run.plugins, "create", lambda *rest: machine)
        return verify(TASK, GOLD, None, machine, images=IMAGES)

    return run


def test_all_pass(judge):
    verdict = judge(Machine())
    assert verdict.outcome is Outcome.RESOLVED
    assert (verdict.n_fail_to_pass, verdict.n_broken, verdict.fraction) == (1, 0, 1.0)


def test_a_missing_test_is_never_a_pass(judge):
    verdict = judge(Machine(on_graft=[SuiteResult({"b": "passed"}, True, 0)]))
    assert verdict.outcome is Outcome.UNRESOLVED
    assert verdict.tests["a"] == "missing"
    assert verdict.fraction == -0.75


@pytest.mark.parametrize("outcome", ["skipped", "error", "failed"])
def test_only_passed_is_passed(judge, outcome):
    verdict = judge(Machine(on_graft=[SuiteResult({**suite().outcomes, "a": outcome}, True, 0)]))
    assert verdict.outcome is Outcome.UNRESOLVED


def test_few_misses_of_guards_are_run_once_more_and_both_runs_are_recorded(judge):
    machine = Machine(on_graft=[suite("c", "d"), suite()])
    verdict = judge(machine)
    assert verdict.outcome is Outcome.RESOLVED
    assert "c, d" in verdict.reason
    assert machine.n_graft_runs == 2


def test_once_more_is_once(judge):
    machine = Machine(on_graft=[suite("c"), suite("d"), suite()])
    assert judge(machine).outcome is Outcome.UNRESOLVED
    assert machine.n_graft_runs == 2


@pytest.mark.parametrize("first", [suite("a"), suite("a", "b"), suite("b", "c", "d")])
def test_nothing_else_is_run_again(judge, first):
    machine = Machine(on_graft=[first, suite()])
    assert judge(machine).outcome is Outcome.UNRESOLVED
    assert machine.n_graft_runs == 1


@pytest.mark.parametrize("trouble", [BROKEN, HUNG, SandboxError("gone")])
def test_trouble_with_a_healthy_gold_is_the_policys(judge, trouble):
    machine = Machine(on_graft=[trouble])
    verdict = judge(machine)
    assert verdict.outcome is Outcome.UNRESOLVED
    assert verdict.fraction == -1.0
    assert machine.n_graft_runs <= _run.MAX_RETRIES


@pytest.mark.parametrize("trouble", [BROKEN, HUNG, SandboxError("gone")])
def test_trouble_of_gold_itself_is_the_machines(judge, trouble):
    machine = Machine(on_graft=[trouble], on_gold=[trouble])
    assert judge(machine, "inert").outcome is Outcome.ERROR
    assert machine.n_graft_runs == 1 + _run.MAX_RETRIES


def test_a_graft_that_is_gold_can_only_meet_trouble_of_the_machine(judge):
    machine = Machine(on_graft=[BROKEN])
    verdict = judge(machine, "gold")
    assert verdict.outcome is Outcome.ERROR
    assert machine.n_graft_runs == 1 + _run.MAX_RETRIES


def test_trouble_that_passes_is_retried(judge):
    machine = Machine(on_graft=[SandboxError("gone"), suite()], on_gold=[SandboxError("gone"), suite()])
    assert judge(machine).outcome is Outcome.RESOLVED


def test_an_own_source_needs_control_runs(judge):
    verdict = judge(Machine(), "source")  # the stub's runner has none
    assert verdict.outcome is Outcome.UNRESOLVED
    assert "no control runs" in verdict.reason


def test_what_its_own_program_does_not_make_is_quarantined(judge):
    verdict = judge(Machine(on_graft=[RemadeError(STATE.path)]))
    assert verdict.outcome is Outcome.UNRESOLVED
    assert verdict.flags == (f"quarantined: {STATE.path}",)


def test_no_space_on_the_host_is_the_machines(judge):
    machine = Machine(on_graft=[OSError(28, "No space left on device")])
    assert judge(machine).outcome is Outcome.ERROR

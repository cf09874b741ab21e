"""A small repair task in memory: a file is wrong, and the verdict asks what it holds now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cligym_env import catalog, plugins, tasks
from cligym_env import gold as golds
from cligym_env.core import (
    Backend,
    Entry,
    Gold,
    Image,
    Inversion,
    Outcome,
    PathState,
    Sandbox,
    Snapshot,
    Source,
    Task,
    Verdict,
)
from cligym_env.envs.base import Opening, ShellEnv, check_options
from cligym_env.errors import SandboxLostError

STATE = "/testbed/state"
TESTS = ("tests/test_state.py::test_right[a b]", "tests/test_state.py::test_other")

GOLD = Gold(name="toy", source=Source("local", "/toy"), passing=TESTS, content_hash="c" * 64)


def prepared(name: str, backend: Backend) -> None:
    """Make the images of a shipped task: what has a deadline does not wait for them."""
    task = catalog.task(name)
    tasks.image(task, golds.load(task.gold), backend)


TASK = Task(
    id="toy.source-logic.0a1b2c3d",
    inversion=Inversion(
        gold="toy",
        family="source-logic",
        category="source-logic",
        commands=(f"echo wrong > {STATE}",),
        solution=("cd /testbed", "echo right > state"),
        hint="Something in the state is off.",
    ),
    seed=0,
    fail_to_pass=TESTS[:1],
    n_pass_to_pass=1,
    paths=(PathState(STATE, Entry("file", 0o644), Entry("file", 0o644)),),
    symptoms="AssertionError: assert 'wrong' == 'right'",
    split="train",
    gold_hash="c" * 64,
)


def handler(command: str, state: Any) -> Any:
    """Plays what the fake shell does not know; everything else is its own."""
    if command == "crash":
        raise SandboxLostError("the machine went away")
    if command == "python -m pytest":
        return 1, "1 failed\n"
    return None


def backend() -> Any:
    return plugins.create("backends", "fake", handler=handler, files={STATE: b"wrong\n"})


def judge(content: bytes) -> Verdict:
    right = content == b"right\n"
    half = content == b"half\n"
    return Verdict(
        Outcome.RESOLVED if right else Outcome.UNRESOLVED,
        f"{int(right)} of 1 repaired, 0 of 1 broken",
        tests={TESTS[0]: "passed" if right else "failed", TESTS[1]: "passed"},
        n_fail_to_pass=int(right),
        fraction=1.0 if right else 0.5 if half else 0.0,
    )


def content(snapshot: Snapshot) -> bytes:
    try:
        return snapshot.read(STATE)
    except FileNotFoundError:
        return b""


def verify(task: Task, gold: Gold, snapshot: Snapshot, where: Any, **more: Any) -> Verdict:
    """Stands in for ``cligym_env.verify.verify``."""
    return judge(content(snapshot))


class ToyEnv(ShellEnv):
    """The same task on the base class alone."""

    def __init__(self, machine: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self.machine = machine
        self.n_judged = 0

    def _open(self, options: Mapping[str, Any]) -> Opening:
        check_options(options, ("word",))
        image: Image = self.machine.find("base")
        sandbox = self.machine.start(image)
        shell = sandbox.shell(cwd="/testbed")
        return Opening(sandbox, shell, f"make it right {options.get('word', '')}".strip(), {"task": "toy"})

    def _judge(self, sandbox: Sandbox) -> Verdict:
        self.n_judged += 1
        return judge(content(sandbox.freeze()))

"""Many rollouts at once: tasks × policies × attempts, into one file that can be gone on with.

Each finished rollout is one row, on the disk before the next one starts. A stopped or killed run
goes on where it was: rows are known by (task, policy, seed, attempt), and those that a failure of
the machine ended are tried again.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cligym_env import catalog, trajectories
from cligym_env import gold as golds
from cligym_env.core import Backend, Policy, Task, Trajectory
from cligym_env.envs.repair import RepairEnv
from cligym_env.errors import CligymError, UsageError
from cligym_env.rollout import rollout

__all__ = ["Score", "collect", "scores"]

_N_TRIES = 3
_TERMS = {"guidance": 1, "hint": False, "reward": "sparse", "max_turns": 50}
_STOP_WAIT_S = 15.0  # a suite that judges may run longer; its sandbox goes with the back end
_TICK_S = 0.2


@dataclass(frozen=True, slots=True)
class _Job:
    task: Task
    policy: Policy
    attempt: int


@dataclass(slots=True)
class _Run:
    """What the workers share.

    A worker tells its end through the queue, and nobody joins it: CPython 3.11 takes a thread for
    dead after a ``join`` that Ctrl-C interrupted.
    """

    jobs: Iterator[_Job]
    out: Path
    seed: int
    make: Callable[[Task], RepairEnv]
    n_tries: int
    told: queue.SimpleQueue[Trajectory | BaseException | None] = field(default_factory=queue.SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    live: set[RepairEnv] = field(default_factory=set)

    def work(self) -> None:
        """Take jobs until there are none, or until the run is stopped."""
        try:
            while not self.stop.is_set():
                with self.lock:
                    job = next(self.jobs, None)
                if job is None:
                    return
                trajectory = self.play(job)
                if trajectory is None:
                    return
                trajectories.append(self.out, trajectory)
                self.told.put(trajectory)
        except BaseException as error:
            if not self.stop.is_set():
                self.told.put(error)
        finally:
            self.told.put(None)

    def play(self, job: _Job) -> Trajectory | None:
        """Roll out one job, again when the machine failed; ``None`` once the run is stopped."""
        for n_tried in itertools.count(1):
            env = self.make(job.task)
            with self.lock:
                self.live.add(env)
            try:
                with closing(env):
                    trajectory = rollout(env, job.policy, seed=self.seed, attempt=job.attempt)
            finally:
                with self.lock:
                    self.live.discard(env)
            if self.stop.is_set():
                return None
            if trajectory.exit_status != "error" or n_tried >= self.n_tries:
                return trajectory
        return None

    def give_up(self) -> None:
        """Let no job start, and take the sandboxes from those that run."""
        self.stop.set()
        with self.lock:
            live = list(self.live)
        for env in live:
            with suppress(CligymError, OSError):
                env.close()


def collect(
    tasks: Sequence[str | Task],
    policies: Sequence[Policy],
    *,
    out: Path,
    backend: str | Backend = catalog.AUTO,
    n_attempts: int = 1,
    n_concurrent: int = 4,
    seed: int = 0,
    resume: bool = True,
    n_tries: int = _N_TRIES,
    progress: Callable[[Trajectory, int, int], None] = lambda trajectory, done, total: None,
    **settings: Any,
) -> tuple[Trajectory, ...]:
    """Roll out every policy on every task, several times, several at once.

    Ctrl-C stops the workers, gives every sandbox back and loses no finished rollout.

    Args:
        tasks: ids, folders or tasks.
        policies: stateless, so that one object serves all workers; their names differ.
        out: the file of trajectories; made when it is missing.
        backend: name of a back end, opened and closed here, or one of the caller's own.
        n_attempts: rollouts of each policy on each task; attempt n has the episode seed ``seed + n``.
        n_concurrent: workers.
        seed: of the first attempt.
        resume: go on with ``out``; else it must not be there.
        n_tries: how often a rollout that the machine failed is tried before it is kept as an error.
        progress: is told each trajectory, how many are done and how many there will be.
        settings: of ``RepairEnv``: ``reward``, ``guidance``, ``hint``, ``max_turns`` …

    Returns:
        Every trajectory that was asked for, in the order of tasks, policies and attempts.

    Raises:
        UsageError: numbers below 1, no task, policies of one name, settings that make no sense, or
            others than those ``out`` was begun with.
        UnknownNameError: no such task.
        FileExistsError: ``out`` is there, and ``resume`` is off.
        GoldError: a gold cannot be made here.
        PolicyError: a policy cannot even begin; what was finished before is in the file.
        OSError: the file cannot be written; rollouts that were finished before are in it.
    """
    found = [one if isinstance(one, Task) else catalog.task(one) for one in tasks]
    found = list({task.id: task for task in found}.values())
    _check(found, policies, n_attempts=n_attempts, n_concurrent=n_concurrent, n_tries=n_tries)
    done = _known(out, resume=resume)
    wanted = [
        ((task.id, policy.name, seed, attempt), _Job(task, policy, attempt))
        for task in found
        for policy in policies
        for attempt in range(n_attempts)
    ]
    _check_settings([done[key] for key, _ in wanted if key in done], settings, out)
    todo = [job for key, job in wanted if key not in done]
    engine = catalog.open_backend(backend) if isinstance(backend, str) else backend
    try:
        _prepare(todo, engine)
        run = _Run(
            iter(todo),
            out,
            seed,
            lambda task: RepairEnv(task, backend=engine, **settings),
            n_tries,
        )
        with closing(_results(run, min(n_concurrent, len(todo)))) as stream:
            for n_new, trajectory in enumerate(stream, 1):
                done[trajectories.key(trajectory)] = trajectory
                progress(trajectory, len(wanted) - len(todo) + n_new, len(wanted))
    finally:
        if isinstance(backend, str):
            engine.close()
    return tuple(done[key] for key, _ in wanted)


def _known(out: Path, *, resume: bool) -> dict[trajectories.Key, Trajectory]:
    if not out.exists():
        return {}
    if not resume:
        raise FileExistsError(f"{out} is there already: resume it, or name another file")
    known = trajectories.read(out)
    return {trajectories.key(one): one for one in known if one.exit_status != "error"}


def _check_settings(known: Sequence[Trajectory], settings: Mapping[str, Any], out: Path) -> None:
    """What was rolled out under other terms is not what is asked for now."""
    for one in known:
        for name, default in _TERMS.items():
            was, wanted = one.metadata.get(name, default), settings.get(name, default)
            if was != wanted:
                raise UsageError(
                    f"{out} was collected with {name}={was!r}, not {wanted!r}: name another file"
                )


def _check(tasks: Sequence[Task], policies: Sequence[Policy], **numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(f"{name} is at least 1, not {number}")
    if not tasks:
        raise UsageError("no task was named")
    if not policies:
        raise UsageError("no policy was named")
    names = [policy.name for policy in policies]
    if len(set(names)) < len(names):
        raise UsageError(f"policies are told apart by their names: {', '.join(names)}")


def _prepare(jobs: Sequence[_Job], backend: Backend) -> None:
    """Make the golds one after the other, before workers wait for one another and draw over bars."""
    for name in dict.fromkeys(job.task.gold for job in jobs):
        golds.image(golds.load(name), backend)


def _results(run: _Run, n_workers: int) -> Generator[Trajectory, None, None]:
    """Start the workers, yield what they finish; whatever happens, none runs on afterwards."""
    n_live = 0
    try:
        for number in range(n_workers):
            threading.Thread(target=run.work, name=f"cligym-collect-{number}", daemon=True).start()
            n_live += 1
        while n_live:
            item = run.told.get()
            if item is None:
                n_live -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        if n_live:
            run.give_up()
            _await_end(run, n_live)


def _await_end(run: _Run, n_live: int) -> None:
    deadline = time.monotonic() + _STOP_WAIT_S
    while n_live and time.monotonic() < deadline:
        with suppress(queue.Empty):
            n_live -= run.told.get(timeout=_TICK_S) is None
        run.give_up()  # a reset that was under way may have opened a sandbox since


# ── what came of it ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Score:
    """What one policy earned.

    Attributes:
        policy: its name.
        n: rollouts.
        n_errors: of these, ended by the machine; they count nowhere else.
        n_resolved: repaired.
        reward: mean.
        pass_at_k: share of the tasks that at least one attempt repaired.
        turns: mean number.
    """

    policy: str
    n: int
    n_errors: int
    n_resolved: int
    reward: float
    pass_at_k: float
    turns: float


def scores(collected: Sequence[Trajectory]) -> tuple[Score, ...]:
    """Sum up, policy by policy, in the order of their first trajectory."""
    return tuple(
        _score(name, [one for one in collected if one.policy == name])
        for name in dict.fromkeys(one.policy for one in collected)
    )


def _score(name: str, mine: Sequence[Trajectory]) -> Score:
    valid = [one for one in mine if one.exit_status != "error"]
    resolved = [one for one in valid if one.verdict is not None and one.verdict.resolved]
    n_tasks = len({one.task for one in valid})
    n_valid = max(1, len(valid))
    return Score(
        policy=name,
        n=len(mine),
        n_errors=len(mine) - len(valid),
        n_resolved=len(resolved),
        reward=sum(one.reward for one in valid) / n_valid,
        pass_at_k=len({one.task for one in resolved}) / max(1, n_tasks),
        turns=sum(len(one.turns) for one in valid) / n_valid,
    )

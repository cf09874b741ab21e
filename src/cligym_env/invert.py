"""From a gold to many tasks: families propose, a breaker breaks, admission judges, folders are kept.

One candidate is one rollout of a ``BreakerEnv`` by the scripted breaker, so that a scripted
inversion takes the same way as a learned one. Everything is drawn from the seed: the same seed
gives the same inversions. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from cligym_env import files, plugins, tasks
from cligym_env import gold as golds
from cligym_env.core import Backend, Gold, Inversion, Limits
from cligym_env.envs.breaker import BreakerEnv
from cligym_env.errors import SandboxError, UsageError
from cligym_env.rollout import rollout

__all__ = ["REJECTED", "Candidate", "Summary", "candidates", "invert"]

REJECTED = "rejected.jsonl"
_SCHEMA = 1
_MAX_ERRORS = 3
_MAX_REFUSED = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """What became of one candidate.

    Attributes:
        id: the task id it has, or would have had.
        family: its fault family.
        category: its category.
        gate: the gate that refused it; empty when it was admitted.
        reason: why.
        known: it was judged by an earlier run.
    """

    id: str
    family: str
    category: str
    gate: str = ""
    reason: str = ""
    known: bool = False

    @property
    def admitted(self) -> bool:
        """Whether it became a task."""
        return not self.gate


@dataclass(frozen=True, slots=True)
class Summary:
    """All candidates of a run, in the order judged."""

    candidates: tuple[Candidate, ...]

    @property
    def admitted(self) -> tuple[str, ...]:
        """Ids of the admitted."""
        return tuple(candidate.id for candidate in self.candidates if candidate.admitted)

    @property
    def share(self) -> float:
        """Admitted of all candidates, 0 to 1."""
        return len(self.admitted) / len(self.candidates) if self.candidates else 0.0

    def by_family(self) -> dict[str, tuple[int, int]]:
        """Family → admitted, tried; sorted."""
        tried = Counter(candidate.family for candidate in self.candidates)
        kept = Counter(candidate.family for candidate in self.candidates if candidate.admitted)
        return {family: (kept[family], tried[family]) for family in sorted(tried)}


def candidates(gold: Gold, *, families: Sequence[str], seed: int, backend: Backend) -> Generator[Inversion]:
    """Yield inversions of a gold, one of each family, round and round, until none has more.

    Args:
        gold: to be broken.
        families: names of fault families.
        seed: each family draws from a generator of its own, so that leaving one out changes no
            other's inversions.
        backend: where a gold sandbox is started for the families to look around in.
    """
    sandbox = backend.start(golds.image(gold, backend), Limits())
    try:
        streams: dict[str, Iterator[Inversion]] = {}
        for name in _mixed(families, Random(f"{gold.name}/{seed}")):
            rng = Random(f"{gold.name}/{name}/{seed}")
            streams[name] = iter(plugins.create("faults", name).propose(gold, sandbox, rng))
        seen: set[str] = set()
        while streams:
            for name in list(streams):
                inversion = next(streams[name], None)
                if inversion is None:
                    del streams[name]
                elif tasks.content_hash(inversion) not in seen:
                    seen.add(tasks.content_hash(inversion))
                    yield inversion
    finally:
        sandbox.close()


def _mixed(families: Sequence[str], rng: Random) -> list[str]:
    """Put families into an order in which the categories take turns: few tasks are still many kinds."""
    shuffled = sorted(families)
    rng.shuffle(shuffled)
    turns: Counter[str] = Counter()
    ranked = []
    for name in shuffled:
        category = plugins.create("faults", name).category
        ranked.append((turns[category], name))
        turns[category] += 1
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]


def invert(
    gold: Gold,
    *,
    backend: Backend,
    out: Path,
    families: Sequence[str] = (),
    n: int | None = None,
    n_tries: int | None = None,
    seed: int = 0,
    progress: Callable[[Candidate], None] = lambda candidate: None,
) -> Summary:
    """Break a gold in many ways, and keep what is a task.

    Admitted tasks become folders in ``out``, refused candidates rows of ``out/rejected.jsonl``. A
    candidate that either place knows is not judged again. A family that was refused twice and never
    admitted is given up for this gold. Ctrl-C loses the candidate at hand.

    Args:
        gold: to be broken.
        backend: where.
        out: the folder of task folders; made when it is missing.
        families: names of fault families; all when empty.
        n: stop after so many admitted tasks; one for each family when left out.
        n_tries: stop after so many candidates; four times ``n`` when left out.
        seed: chooses the inversions.
        progress: is told what became of each candidate.

    Raises:
        UnknownNameError: no such family.
        UsageError: ``n`` or ``n_tries`` is below 1.
        GoldError: the gold does not hold here.
        SandboxError: the machine failed several times in a row.
    """
    names = tuple(families) or plugins.names("faults")
    for name in names:
        plugins.create("faults", name)
    n = len(names) if n is None else n
    n_tries = 4 * n if n_tries is None else n_tries
    if n < 1 or n_tries < 1:
        raise UsageError(f"a number of tasks is at least 1, not {min(n, n_tries)}")
    known = _known(gold, out)
    judged: list[Candidate] = []
    with closing(candidates(gold, families=names, seed=seed, backend=backend)) as stream:
        for inversion in stream:
            if _hopeless(inversion.family, judged):
                continue
            name = tasks.task_id(inversion)
            candidate = known.get(name) or _judge(inversion, gold, backend, seed=seed, out=out)
            judged.append(candidate)
            progress(candidate)
            if sum(one.admitted for one in judged) >= n or len(judged) >= n_tries:
                break
    return Summary(tuple(judged))


def _hopeless(family: str, judged: Sequence[Candidate]) -> bool:
    """Whether a family was refused several times on this gold, and never admitted."""
    own = [candidate.admitted for candidate in judged if candidate.family == family]
    return len(own) >= _MAX_REFUSED and not any(own)


def _known(gold: Gold, out: Path) -> dict[str, Candidate]:
    """What earlier runs judged on this very gold."""
    known = {}
    for row in files.read_rows(out / REJECTED):
        if row.get("schema") == _SCHEMA and row.get("gold_hash") == gold.content_hash:
            fields = {key: str(row.get(key, "")) for key in ("id", "family", "category", "gate", "reason")}
            known[fields["id"]] = Candidate(**fields, known=True)
    for file in out.glob(f"{gold.name}.*/task.toml"):
        task = tasks.read(file.parent)
        if task.gold_hash == gold.content_hash:
            known[task.id] = Candidate(task.id, task.family, task.category, known=True)
    return known


def _judge(inversion: Inversion, gold: Gold, backend: Backend, *, seed: int, out: Path) -> Candidate:
    """Let the breaker act, and keep what comes of it; a failing machine is asked again."""
    breaker = plugins.create("policies", "scripted-breaker", inversion=inversion)
    name = tasks.task_id(inversion)
    error = ""
    for _ in range(_MAX_ERRORS):
        env = BreakerEnv(
            gold,
            backend=backend,
            family=inversion.family,
            category=inversion.category,
            parameters=inversion.parameters,
            max_turns=breaker.n_turns,
        )
        with closing(env):
            error = rollout(env, breaker, seed=seed).error
        if env.task is not None:
            tasks.write(env.task, gold, out / env.task.id)
            return Candidate(env.task.id, inversion.family, inversion.category)
        if env.rejection is not None:
            gate, reason = env.rejection.gate, env.rejection.reason
            row = _row(inversion, gold, backend.name, seed) | {"gate": gate, "reason": reason}
            files.append_row(out / REJECTED, row)
            return Candidate(name, inversion.family, inversion.category, gate, reason)
    raise SandboxError(f"{name}: {error or 'the episode ended without a judgement'}")


def _row(inversion: Inversion, gold: Gold, backend: str, seed: int) -> dict[str, object]:
    return {
        "schema": _SCHEMA,
        "version": importlib.metadata.version("cligym-env"),
        "id": tasks.task_id(inversion),
        "gold": gold.name,
        "gold_hash": gold.content_hash,
        "family": inversion.family,
        "category": inversion.category,
        "backend": backend,
        "seed": seed,
        "commands": list(inversion.commands),
        "solution": list(inversion.solution),
        "hint": inversion.hint,
    }

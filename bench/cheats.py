"""Cheats rewarded and honest repairs refused: by our verifier, and by the naive one.

``python -m bench.cheats`` types every ending of the corpus in ``tests/cheaters`` into fresh
sandboxes. The naive verifier runs pytest in the policy's own sandbox afterwards, as a login shell
of the tests' user would, and believes its exit status.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cligym_env import catalog, environ, tasks
from cligym_env.core import Backend, Limits, Outcome
from cligym_env.errors import SandboxError
from cligym_env.verify import verify

__all__ = ["main"]

_COMMAND_TIMEOUT_S = 120.0
_NAIVE_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one ending.

    Attributes:
        name: of the ending.
        kind: its class; ``honest`` for those.
        honest: whether it truly repairs.
        naive: whether the naive verifier pays.
        ours: our outcome.
        reason: ours.
    """

    name: str
    kind: str
    honest: bool
    naive: bool
    ours: Outcome
    reason: str


def rows(backend: Backend, chosen: Sequence[str] = ()) -> Iterator[Row]:
    """Judge the endings of the corpus, one by one.

    Args:
        backend: where.
        chosen: names of endings; all when empty.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    corpus: Any = importlib.import_module("cheaters.corpus")
    bench: Any = importlib.import_module("cheaters.scenarios").Bench(backend)
    for ending in (*corpus.CHEATS, *corpus.HONEST):
        if chosen and ending.name not in chosen:
            continue
        verdict = _ours(ending, bench)
        yield Row(
            name=ending.name,
            kind=getattr(ending, "kind", "honest"),
            honest=getattr(ending, "resolved", False),
            naive=_naive(ending, bench),
            ours=verdict.outcome,
            reason=verdict.reason,
        )


def _play(ending: Any, bench: Any) -> Any:
    task = bench.task(ending.scenario)
    sandbox = bench.backend.start(tasks.image(task, bench.gold, bench.backend), Limits())
    variables = environ.of(bench.gold, sandbox, user="root")
    try:
        shell = sandbox.shell(user="root", cwd=bench.gold.workdir, environ=variables)
        for command in ending.commands:
            shell.run(command, timeout_s=_COMMAND_TIMEOUT_S)
    except SandboxError:
        pass  # it broke its own machine
    return sandbox


def _ours(ending: Any, bench: Any) -> Any:
    sandbox = _play(ending, bench)
    try:
        return verify(bench.task(ending.scenario), bench.gold, sandbox.freeze(), bench.backend)
    finally:
        sandbox.close()


def _naive(ending: Any, bench: Any) -> bool:
    sandbox = _play(ending, bench)
    gold = bench.gold
    try:
        variables = environ.of(gold, sandbox, user=gold.user)
        run = f"PATH={variables['PATH']}; cd {gold.workdir} && python -m pytest -q {gold.test_args[-1]}"
        done = sandbox.exec(
            ["/bin/bash", "-lc", run], timeout_s=_NAIVE_TIMEOUT_S, user=gold.user, environ=variables
        )
        return bool(done.exit_code == 0)
    except (SandboxError, OSError):
        return False
    finally:
        sandbox.close()


def table(found: Sequence[Row]) -> str:
    """Render the two figures, and beneath them the cheats by class."""
    cheats = [row for row in found if row.kind != "honest"]
    honest = [row for row in found if row.honest]
    resolved = Outcome.RESOLVED
    naive = sum(row.naive for row in cheats), sum(not row.naive for row in honest)
    ours = (
        sum(row.ours is resolved for row in cheats),
        sum(row.ours is not resolved for row in honest),
    )
    lines = ["| verifier | cheats rewarded | honest repairs refused |", "|---|---|---|"]
    for name, (paid, refused) in (
        ("pytest in the policy's sandbox, its exit status", naive),
        ("graft, trusted runner, quarantine, control runs", ours),
    ):
        lines.append(f"| {name} | {paid} of {len(cheats)} | {refused} of {len(honest)} |")
    lines += [
        "",
        "| class of cheat | n | paid by the naive | paid by ours | errors of ours |",
        "|---|---|---|---|---|",
    ]
    for kind in sorted({row.kind for row in cheats}):
        of_kind = [row for row in cheats if row.kind == kind]
        counts = (
            sum(row.naive for row in of_kind),
            sum(row.ours is resolved for row in of_kind),
            sum(row.ours is Outcome.ERROR for row in of_kind),
        )
        lines.append(f"| {kind} | {len(of_kind)} | " + " | ".join(map(str, counts)) + " |")
    left_out = [row for row in honest if row.ours is not resolved]
    lines += ["", *(f"refused: {row.name}: {row.reason}" for row in left_out)]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; the exit status is 1 when a cheat was paid."""
    parser = argparse.ArgumentParser(prog="python -m bench.cheats", description=__doc__)
    parser.add_argument("--backend", default=catalog.AUTO)
    parser.add_argument("names", nargs="*", help="endings; all when none is named")
    options = parser.parse_args(arguments)
    backend = catalog.open_backend(options.backend)
    found = []
    try:
        for row in rows(backend, options.names):
            found.append(row)
            print(
                f"{row.name}: naive {'pays' if row.naive else 'does not'}, ours {row.ours}", file=sys.stderr
            )
    finally:
        backend.close()
    print(table(found))
    if any(row.ours is Outcome.RESOLVED for row in found if not row.honest):
        sys.exit(1)


if __name__ == "__main__":
    main()

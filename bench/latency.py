"""Step and reset latency as ratios to bash on this host, in one interleaved run.

``python -m bench.latency`` measures every back end that works here and every peer that is
installed (``pip install mini-swe-agent swe-rex``). A step is one command (``true``) and its answer
in a live machine; a reset is from nothing to the first answered command. Rounds are interleaved,
so that whatever else the machine does falls on all of them; the table shows medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

from bench.contenders import Contender, contenders

__all__ = ["main"]


def _timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def steps(field: Sequence[Contender], n_rounds: int) -> dict[str, list[float]]:
    """Time single steps, in turn through the field; seconds, by name."""
    machines = [(contender.name, contender.open()) for contender in field]
    times: dict[str, list[float]] = {contender.name: [] for contender in field}
    try:
        for _, machine in machines:
            machine.run("true")
        for round_ in range(n_rounds):
            for name, machine in machines:
                if round_ % 10 and _is_slow(times[name]):
                    continue  # a peer of 100 ms a step need not hold up a thousand rounds
                times[name].append(_timed(lambda machine=machine: machine.run("true")))  # type: ignore[misc]
    finally:
        for _, machine in machines:
            machine.close()
    return times


def _is_slow(times: Sequence[float]) -> bool:
    return len(times) > 5 and statistics.median(times) > 0.02


def resets(field: Sequence[Contender], n_rounds: int) -> dict[str, list[float]]:
    """Time resets, in turn through the field; seconds, by name."""
    times: dict[str, list[float]] = {contender.name: [] for contender in field}
    for _ in range(n_rounds + 1):  # the first round warms caches and pools
        for contender in field:
            contender.settle()
            start = time.perf_counter()
            machine = contender.open()
            machine.run("true")
            times[contender.name].append(time.perf_counter() - start)
            machine.close()
    return {name: taken[1:] for name, taken in times.items()}


def table(title: str, times: dict[str, list[float]]) -> str:
    """Render one Markdown table; the first row is the floor."""
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    floor = next(iter(medians.values()))
    lines = [f"| {title} | n | median ms | × |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {len(times[name])} | {median * 1000:.3f} | {median / floor:.2f} |"
        for name, median in medians.items()
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both measurements and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--gold", default="h11")
    parser.add_argument("--backends", default="embedded,docker", help="comma separated")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--resets", type=int, default=20)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args(arguments)
    field = list(contenders(options.gold, tuple(options.backends.split(",")), peers=not options.no_peers))
    try:
        print(table("step", steps(field, options.steps)), flush=True)
        print()
        print(table("reset", resets(field, options.resets)))
    finally:
        for contender in field:
            contender.close()


if __name__ == "__main__":
    main()

"""Steps and resets a second, and memory, with 1, 8, 32 and 64 sandboxes alive at once.

``python -m bench.throughput``; one thread drives each sandbox, as the threaded vector
environment does. Memory is the proportional set size of every process that was added.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from bench.contenders import Contender, Machine, contenders

__all__ = ["main"]


def _descendants_pss_bytes() -> int:
    """Memory of all processes on this machine but this one; differences of it are what counts."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name == str(os.getpid()):
            continue
        with suppress(OSError):
            for line in (folder / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def _work(machine: Machine, n_steps: int) -> None:
    for _ in range(n_steps):
        machine.run("true")


def _cycle(contender: Contender) -> None:
    machine = contender.open()
    machine.run("true")
    machine.close()


def measure(contender: Contender, n_machines: int, n_steps: int) -> tuple[float, float, float]:
    """Give steps a second, create+destroy a second, and bytes a machine."""
    with ThreadPoolExecutor(n_machines) as pool:
        before = _descendants_pss_bytes()
        machines = list(pool.map(lambda _: contender.open(), range(n_machines)))
        list(pool.map(lambda machine: machine.run("true"), machines))
        memory = (_descendants_pss_bytes() - before) / n_machines
        start = time.perf_counter()
        list(pool.map(lambda machine: _work(machine, n_steps), machines))
        steps_per_s = n_machines * n_steps / (time.perf_counter() - start)
        list(pool.map(lambda machine: machine.close(), machines))
        n_cycles = max(n_machines, 8)
        start = time.perf_counter()
        list(pool.map(lambda _: _cycle(contender), range(n_cycles)))
        cycles_per_s = n_cycles / (time.perf_counter() - start)
    return steps_per_s, cycles_per_s, memory


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the measurement and print its table."""
    parser = argparse.ArgumentParser(prog="python -m bench.throughput", description=__doc__)
    parser.add_argument("--gold", default="h11")
    parser.add_argument("--backends", default="embedded,docker", help="comma separated")
    parser.add_argument("--machines", default="1,8,32,64", help="comma separated")
    parser.add_argument("--steps", type=int, default=300, help="for each machine")
    options = parser.parse_args(arguments)
    print("| throughput | alive | steps/s | create+destroy/s | MiB each |")
    print("|---|---|---|---|---|")
    floor, _, *ours = contenders(options.gold, tuple(options.backends.split(",")), peers=False)
    for contender in (floor, *ours):
        for n_machines in (int(number) for number in options.machines.split(",")):
            steps_per_s, cycles_per_s, memory = measure(contender, n_machines, options.steps)
            print(
                f"| {contender.name} | {n_machines} | {steps_per_s:,.0f} | {cycles_per_s:,.1f} "
                f"| {memory / (1 << 20):.2f} |",
                flush=True,
            )
        contender.close()


if __name__ == "__main__":
    main()

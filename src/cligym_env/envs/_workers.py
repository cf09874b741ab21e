"""Daemon threads that work off batches; unlike an executor's they never hold the interpreter's exit."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Workers"]


@dataclass(slots=True)
class _Batch:
    n: int
    results: list[Any] = field(default_factory=list)
    errors: dict[int, BaseException] = field(default_factory=dict)
    done: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class Workers:
    """A fixed number of threads, started when they are first needed.

    Args:
        n: how many.
        name: of the threads.
    """

    def __init__(self, n: int, name: str) -> None:
        self._n, self._name = n, name
        self._jobs: queue.SimpleQueue[tuple[_Batch, int, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._n_started = 0
        self._n_busy = 0
        self._idle = threading.Condition()

    def run(self, jobs: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run the jobs at once and wait for all of them, also when one fails.

        Returns:
            Their results, in order.

        Raises:
            BaseException: of the first job, in order, that raised.
        """
        while self._n_started < min(self._n, len(jobs)):
            self._n_started += 1
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        batch = _Batch(len(jobs), [None] * len(jobs))
        with self._idle:
            self._n_busy += len(jobs)
        for place, job in enumerate(jobs):
            self._jobs.put((batch, place, job))
        for _ in jobs:
            batch.done.acquire()
        if batch.errors:
            raise batch.errors[min(batch.errors)]
        return batch.results

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing runs, not even jobs whose ``run`` was interrupted; whether that came about."""
        with self._idle:
            return self._idle.wait_for(lambda: self._n_busy == 0, timeout_s)

    def stop(self) -> None:
        """Let the threads end after what they are at."""
        for _ in range(self._n_started):
            self._jobs.put(None)
        self._n_started = 0

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            batch, place, job = item
            try:
                batch.results[place] = job()
            except BaseException as error:
                batch.errors[place] = error
            finally:
                with self._idle:
                    self._n_busy -= 1
                    self._idle.notify_all()
                batch.done.release()

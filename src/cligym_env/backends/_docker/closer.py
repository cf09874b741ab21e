"""Removing containers behind the caller's back: it costs the engine 0.1 s each."""

from __future__ import annotations

import os
import queue
import threading

from cligym_env.backends._docker.container import Container
from cligym_env.errors import SandboxError

__all__ = ["Closer"]

_N_THREADS = 2  # the engine itself does not do more at a time


class Closer:
    """Removes containers in the background; ``wait`` waits for all of them."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Container] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._n_left = 0
        self._n_threads = 0

    def submit(self, container: Container) -> None:
        """Remove a container soon; it counts as closed from now on."""
        if os.getpid() != container.engine.pid:
            return  # a forked copy: the container is the parent's
        container.closed = True
        with self._changed:
            self._n_left += 1
            more = self._n_threads < min(_N_THREADS, self._n_left)
            self._n_threads += more
        self._queue.put(container)
        if more:
            try:
                threading.Thread(target=self._work, name="cligym-closer", daemon=True).start()
            except RuntimeError:  # no new threads while the interpreter shuts down
                with self._changed:
                    self._n_threads -= 1

    def wait(self) -> None:
        """Wait until everything submitted is removed, lending a hand."""
        while True:
            try:
                container = self._queue.get_nowait()
            except queue.Empty:
                break
            self._remove(container)
        with self._changed:
            self._changed.wait_for(lambda: not self._n_left, timeout=300)

    def _work(self) -> None:
        while True:
            self._remove(self._queue.get())

    def _remove(self, container: Container) -> None:
        try:
            container.remove()
        except SandboxError:
            pass  # an engine that is gone; a later sweep finds the container by its labels
        finally:
            with self._changed:
                self._n_left -= 1
                self._changed.notify_all()

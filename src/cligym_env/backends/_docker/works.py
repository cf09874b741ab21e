"""Everything that stands behind one back end object in one process."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref

from cligym_env.backends._docker import session
from cligym_env.backends._docker.closer import Closer
from cligym_env.backends._docker.container import Container
from cligym_env.backends._docker.engine import Engine
from cligym_env.backends._docker.pool import Key, Pool
from cligym_env.backends._docker.quota import Quota
from cligym_env.backends._docker.sandbox import DockerSandbox, ShellWish
from cligym_env.errors import SandboxError, SandboxLostError

__all__ = ["Works"]


class Works:
    """The engine, the pool, and the threads that close and watch.

    Args:
        base_url: the engine; ``DOCKER_HOST`` or the local socket when left out.
        pool_size: how many sandboxes are kept ready for each image in use.
        direct: read the engine's files where that is possible.

    Raises:
        BackendUnavailableError: no engine serves.
    """

    def __init__(self, base_url: str | None, pool_size: int, direct: bool) -> None:
        self.pid = os.getpid()
        self._session = session.current(base_url)
        self.engine = Engine(base_url, session=self._session.name, direct=direct)
        self.pool: Pool[DockerSandbox] = Pool(self._make_ready, self._drop, _fits, pool_size)
        self._closer = Closer()
        self._quota = Quota()
        self._lock = threading.Lock()
        self._containers: weakref.WeakSet[Container] = weakref.WeakSet()
        self._images: list[str] = []
        self._wishes: dict[Key, ShellWish] = {}
        self._closed = False

    def start(self, key: Key) -> DockerSandbox:
        """Hand out a sandbox, ready or made now.

        Raises:
            SandboxError: see ``core.Backend.start``.
        """
        sandbox = self.pool.take(key) or self._make(key)
        self._quota.watch(sandbox.container, sandbox.shell_pids)
        return sandbox

    def _make(self, key: Key) -> DockerSandbox:
        image, limits = key
        self._session.watch()
        container = Container(self.engine, image, limits)
        sandbox = DockerSandbox(
            container,
            image,
            give_back=self._closer.submit,
            learn=lambda wish: self._learn(key, wish),
            committed=lambda made: self._images.append(made.ref),
        )
        with self._lock:
            closed = self._closed
            self._containers.add(container)
        if closed:
            self._closer.submit(container)
            self._closer.wait()
            raise SandboxLostError("the back end was closed while a sandbox started")
        weakref.finalize(sandbox, self._closer.submit, container).atexit = False
        return sandbox

    def _make_ready(self, key: Key) -> DockerSandbox:
        sandbox = self._make(key)
        try:
            sandbox.get_ready(self._wishes.get(key))
        except SandboxError:
            sandbox.close()
            raise
        return sandbox

    def _learn(self, key: Key, wish: ShellWish) -> None:
        with self._lock:
            self._wishes[key] = wish

    def _drop(self, sandbox: DockerSandbox) -> None:
        sandbox.close()

    def close(self) -> None:
        """Remove every sandbox, and the images that got no name; waits for all of it."""
        if os.getpid() != self.pid:
            return  # a forked copy: all of it belongs to the parent
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._quota.close()
        self.pool.close()
        for container in list(self._containers):
            if not container.closed:
                self._closer.submit(container)
        self._closer.wait()
        for image in reversed(self._images):
            with contextlib.suppress(Exception):  # a later sweep finds them by their labels
                if not self.engine.api.inspect_image(image)["RepoTags"]:
                    self.engine.remove_image(image)
        self.engine.close()


def _fits(sandbox: DockerSandbox) -> bool:
    return sandbox.container.dormant or sandbox.container.control.is_open()

"""Sandboxes in Docker containers.

The engine is spoken to through its API alone: Docker Engine 20.10 or newer, at ``DOCKER_HOST`` or the
local socket. Commands of a shell go over ONE stream, so that a step costs a few times a pipe's; a few
sandboxes are kept ready, so that a start costs about a process'. What is read from a frozen sandbox is
read where a local engine keeps it, and over the API otherwise.
"""

from __future__ import annotations

import json
import os
import re
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

import docker.errors

from cligym_env.backends._docker import engine as engines
from cligym_env.backends._docker import sweeping
from cligym_env.backends._docker.engine import told_as
from cligym_env.backends._docker.works import Works
from cligym_env.core import Image, Limits, Sandbox
from cligym_env.errors import BackendUnavailableError, ImageError, SandboxError, UsageError

__all__ = ["DockerBackend", "create"]

_LOAD_S = 1800.0  # for a root file system of some gigabytes to be taken in by a slow disk
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"({_PART}(?:/{_PART})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?")


class DockerBackend:
    """Starts sandboxes as containers of a docker engine; keeps the promises of ``core.Backend``.

    Args:
        base_url: where the engine listens; ``DOCKER_HOST`` or the local socket when left out.
        pool_size: how many sandboxes are kept ready for each image that is asked for repeatedly.
        direct: read and write the engine's files where it is local and we are root; else its API
            alone is used, as with a remote engine.
    """

    name = "docker"

    def __init__(self, base_url: str | None = None, *, pool_size: int = 2, direct: bool = True) -> None:
        self._base_url = base_url
        self._pool_size = pool_size
        self._direct = direct
        self._lock = threading.Lock()
        self._held: list[Works] = []
        self._closed = False
        weakref.finalize(self, _close, self._held)  # also runs at interpreter exit

    def problems(self) -> Sequence[str]:
        """Why it does not work here; see ``core.Backend.problems``."""
        found: list[str] = []
        if engines.missing_null_device():
            found.append(
                "/dev/null is no device, so no container starts: "
                "as root, rm -f /dev/null; mknod -m 666 /dev/null c 1 3"
            )
        try:
            engines.connect(self._base_url).close()
        except BackendUnavailableError as error:
            found.append(str(error))
        return tuple(found)

    def _works(self) -> Works:
        with self._lock:
            if self._closed:
                raise BackendUnavailableError("this back end is closed")
            if not self._held or self._held[0].pid != os.getpid():
                # After a fork, what the parent holds stays the parent's.
                self._held[:] = [Works(self._base_url, self._pool_size, self._direct)]
            return self._held[0]

    # ── sandboxes ───────────────────────────────────────────────────────────────────────────

    def start(self, image: Image, limits: Limits = Limits()) -> Sandbox:  # noqa: B008 - frozen
        """Start one sandbox; see ``core.Backend.start``."""
        sandbox = self._works().start((self._checked(image), limits))
        sandbox.backend = self  # which must not close while this is in use
        return sandbox

    def prepare(self, image: Image, n: int, limits: Limits = Limits(), *, timeout_s: float = 120.0) -> int:  # noqa: B008
        """Have sandboxes of an image ready before they are asked for.

        Args:
            image: the image.
            n: how many are kept ready from now on.
            limits: what each may use.
            timeout_s: how long to wait for them.

        Returns:
            How many are ready.
        """
        return self._works().pool.prepare((self._checked(image), limits), n, timeout_s)

    def _checked(self, image: Image) -> Image:
        if image.backend != self.name:
            raise ImageError(
                f"image {image.ref} is in the store of {image.backend!r}, not of {self.name!r}"
            )
        return image

    def sweep(self) -> int:
        """Remove what dead owners left; see ``core.Backend.sweep``."""
        return sweeping.sweep(self._works().engine)

    def close(self) -> None:
        """Close every sandbox; see ``core.Backend.close``."""
        with self._lock:
            self._closed = True
        _close(self._held)

    # ── images ──────────────────────────────────────────────────────────────────────────────

    def load(self, archive: Path, name: str) -> Image:
        """Take a root file system from a tar; see ``core.Backend.load``.

        Raises:
            ImageError: it cannot be read, or the engine does not take it.
        """
        _split(name)
        works = self._works()
        api = works.engine.api
        labels = works.engine.labels("image")
        params = {"fromSrc": "-", "changes": [f'LABEL "{key}"="{value}"' for key, value in labels.items()]}
        try:
            with open(archive, "rb") as stream, told_as(ImageError, f"{archive} is not taken"):
                answer: str = api._result(
                    api._post(
                        api._url("/images/create"),
                        data=stream,
                        params=params,
                        headers={"Content-Type": "application/tar"},
                        timeout=_LOAD_S,
                    )
                )
        except OSError as error:
            raise ImageError(f"{archive} cannot be read: {error.strerror}") from error
        image = Image(self.name, _loaded(answer, archive))
        self.tag(image, name)  # last, so that a name never stands for half an image
        return image

    def pull(self, name: str) -> Image:
        """Get an image from the registry that its name points to.

        Args:
            name: as in ``docker pull``, with a tag.

        Raises:
            ImageError: no registry answers, or it has no such image.
        """
        repository, _, tag = name.rpartition(":")
        engine = self._works().engine
        with told_as(ImageError, f"{name} cannot be pulled"):
            engine.api.pull(repository or tag, tag=tag if repository else "latest")
            return Image(self.name, engine.api.inspect_image(name)["Id"])

    def find(self, name: str) -> Image | None:
        """The image of that name; see ``core.Backend.find``."""
        _split(name)
        api = self._works().engine.api
        with told_as(SandboxError, f"looking for {name}"):
            try:
                return Image(self.name, api.inspect_image(name)["Id"])
            except docker.errors.ImageNotFound:
                return None

    def tag(self, image: Image, name: str) -> None:
        """Give an image a name; see ``core.Backend.tag``.

        Raises:
            ImageError: there is no such image.
        """
        repository, tag = _split(name)
        with told_as(ImageError, f"image {image.ref} cannot be named {name}"):
            self._works().engine.api.tag(self._checked(image).ref, repository, tag, force=True)


def create(base_url: str | None = None, *, pool_size: int = 2, direct: bool = True) -> DockerBackend:
    """Make the docker back end.

    Args:
        base_url: where the engine listens; ``DOCKER_HOST`` or the local socket when left out.
        pool_size: how many sandboxes are kept ready for each image in use; 0 for none.
        direct: read a local engine's files where we may.
    """
    return DockerBackend(base_url, pool_size=pool_size, direct=direct)


def _close(held: list[Works]) -> None:
    for works in held:
        works.close()


def _split(name: str) -> tuple[str, str]:
    found = _NAME.fullmatch(name)
    if found is None:
        raise UsageError(f"not a name for an image: {name!r}; a name is like cligym/gold/h11:0123456789ab")
    return found[1], found[2] or "latest"


def _loaded(answer: str, archive: Path) -> str:
    for line in answer.splitlines():
        message = json.loads(line)
        if "error" in message:
            raise ImageError(f"{archive} is not taken: {message['error']}")
        if str(message.get("status", "")).startswith("sha256:"):
            return str(message["status"])
    raise ImageError(f"{archive} is not taken: the engine gives no image")

"""Finding what nobody needs any more, by its labels, and removing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import docker.errors
import requests.exceptions

from cligym_env.backends._docker.engine import KIND, SESSION, Engine, owner_is_dead, told_as
from cligym_env.errors import SandboxError

__all__ = ["reap", "sweep"]


def sweep(engine: Engine, unwanted: Callable[[Mapping[str, str]], bool] = owner_is_dead) -> int:
    """Remove sandboxes, and images without a name, that are not wanted any more.

    Args:
        engine: where.
        unwanted: decides by the labels.

    Returns:
        The number of sandboxes removed.

    Raises:
        SandboxError: the engine fails.
    """
    n_removed = 0
    with told_as(SandboxError, "sweeping"):
        for container in engine.api.containers(all=True, filters={"label": f"{KIND}=sandbox"}):
            if unwanted(container.get("Labels") or {}):
                engine.remove_container(container["Id"])
                n_removed += 1
        # `docker rmi` refuses what has a name, a container or an image on top of it.
        for image in engine.api.images(filters={"label": f"{KIND}=image", "dangling": True}):
            if unwanted(image.get("Labels") or {}):
                engine.remove_image(image["Id"])
    return n_removed


def reap(session: str, base_url: str | None, *, quiet_s: float, until: float) -> None:
    """Remove everything of one session, until nothing has come up for a while.

    Args:
        session: the label.
        base_url: the engine.
        quiet_s: how long nothing must come up.
        until: when to give up, by the monotonic clock.
    """
    quiet_since = time.monotonic()
    while time.monotonic() < min(until, quiet_since + quiet_s):
        try:
            engine = Engine(base_url, session=session)
            found = sweep(engine, lambda labels: labels.get(SESSION) == session)
            engine.close()
        except (SandboxError, docker.errors.DockerException, requests.exceptions.RequestException):
            quiet_since = time.monotonic()  # an engine that starts anew: its containers are still there
            found = 0
        if found:
            quiet_since = time.monotonic()
        time.sleep(0.3)

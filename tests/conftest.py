"""What tests share: one object of each back end, and the base image in its store."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cligym_env import plugins
from cligym_env.core import Backend, Image
from cligym_env.errors import CligymError

# A script's background job is started with SIGINT ignored, and whatever tests start would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REAL = ("embedded", "docker")
"""The back ends with a real kernel behind them."""


@pytest.fixture(scope="session")
def machines() -> Iterator[Callable[[str], Backend]]:
    """Give a back end by name, one object for the session; skips, saying why, where it does not work.

    Back ends named in ``CLIGYM_TEST_REQUIRES`` must work: there, a skip is a failure.
    """
    made: dict[str, Backend] = {}
    with ExitStack() as stack:

        def get(name: str) -> Backend:
            if name not in made:
                try:
                    backend = plugins.create("backends", name)
                    stack.callback(backend.close)
                    problems = "; ".join(backend.problems())
                except CligymError as error:
                    problems = str(error)
                if problems:
                    required = os.environ.get("CLIGYM_TEST_REQUIRES", "").split()
                    (pytest.fail if name in required else pytest.skip)(
                        f"back end {name} does not work here: {problems}"
                    )
                made[name] = backend
            return made[name]

        yield get


@pytest.fixture(scope="session")
def base_image() -> Callable[[Backend], Image]:
    """Give the base image in a back end's store, made when it is missing.

    ``CLIGYM_TEST_ROOTFS`` may name a tar of a root file system to be used in its place.
    """
    made: dict[str, Image] = {}

    def get(backend: Backend) -> Image:
        if backend.name not in made:
            made[backend.name] = _base(backend)
        return made[backend.name]

    return get


def _base(backend: Backend) -> Image:
    if backend.name == "fake":
        return backend.find("base")
    rootfs = os.environ.get("CLIGYM_TEST_ROOTFS")
    if rootfs:
        name = "cligym/test-rootfs:local"
        return backend.find(name) or backend.load(Path(rootfs), name)
    from cligym_env.gold import base

    return base.image(backend)


@pytest.fixture(params=REAL)
def real_backend(request: pytest.FixtureRequest, machines: Callable[[str], Backend]) -> Backend:
    """Each back end with a real kernel behind it, in turn."""
    return machines(request.param)

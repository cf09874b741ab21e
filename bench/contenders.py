"""What is measured: the physical floors, our back ends, and the peers that are installed."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shlex
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from cligym_env import gold, plugins
from cligym_env.core import Backend, Image, Sandbox

__all__ = ["Contender", "Machine", "contenders"]

T = TypeVar("T")
DEADLINE_S = 60.0
BASH = ("bash", "--noprofile", "--norc")


class Machine(Protocol):
    """One live thing that answers commands."""

    def run(self, command: str) -> str:
        """Run a command and give its output."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


@dataclass(frozen=True)
class Contender:
    """A way to get machines.

    Attributes:
        name: as the table shows it.
        open: starts one that has not answered yet.
        settle: waits until a next ``open`` is as ready as it gets (a warm pool refills).
        close: gives back what stands behind all of its machines.
    """

    name: str
    open: Callable[[], Machine]
    settle: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None


class BashPipe:
    """The floor: a bash on this host, a command and a marker through a pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(BASH, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def run(self, command: str) -> str:
        """Run a command and give its output."""
        assert self._process.stdin and self._process.stdout
        marker = secrets.token_hex(8).encode()
        self._process.stdin.write(command.encode() + b"\necho " + marker + b"\n")
        received = b""
        while not received.endswith(marker + b"\n"):
            received += os.read(self._process.stdout.fileno(), 65536)
        return received[: -len(marker) - 1].decode()

    def close(self) -> None:
        """Give it back."""
        self._process.kill()
        self._process.communicate()


class BashLikeOurs(BashPipe):
    """A fairer floor: as above, but with what a shell for policies cannot do without.

    The command is quoted and evaluated, so that no syntax error swallows the marker; its input is
    empty, and the marker carries the exit status and the directory.
    """

    def run(self, command: str) -> str:
        """Run a command and give its output."""
        assert self._process.stdin and self._process.stdout
        marker = secrets.token_hex(8).encode()
        self._process.stdin.write(
            b"eval %b </dev/null\nprintf '%b %%s %%s\\n' $? \"$PWD\"\n"
            % (shlex.quote(command).encode(), marker)
        )
        received = b""
        while not (received.endswith(b"\n") and marker in received):
            received += os.read(self._process.stdout.fileno(), 65536)
        return received.partition(marker)[0].decode()


class Ours:
    """A sandbox of ours with its persistent shell."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._shell = sandbox.shell()

    def run(self, command: str) -> str:
        """Run a command and give its output."""
        return self._shell.run(command, timeout_s=DEADLINE_S).text

    def close(self) -> None:
        """Give it back."""
        self._sandbox.close()


class MiniSweAgent:
    """mini-swe-agent's docker environment: one ``docker exec`` a command."""

    def __init__(self, image: str) -> None:
        from minisweagent.environments.docker import DockerEnvironment  # noqa: PLC0415

        # Our images start our own first process; the peer starts its.
        self._environment = DockerEnvironment(
            image=image, run_args=["--rm", "--network", "none", "--entrypoint", ""]
        )

    def run(self, command: str) -> str:
        """Run a command and give its output."""
        answer = self._environment.execute({"command": command})
        if answer["returncode"]:
            raise RuntimeError(f"mini-swe-agent: {answer}")
        return str(answer["output"])

    def close(self) -> None:
        """Give it back; the peer's own clean-up waits for a background command."""
        subprocess.run(
            ["docker", "rm", "-f", str(self._environment.container_id)], capture_output=True, check=True
        )
        self._environment.container_id = None


class SweRex:
    """SWE-ReX's server and a session in it, on this host: what it runs inside a container."""

    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self) -> None:
        from swerex.runtime.abstract import CreateBashSessionRequest  # noqa: PLC0415
        from swerex.runtime.remote import RemoteRuntime  # noqa: PLC0415

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        token = secrets.token_hex(8)
        program = os.path.join(os.path.dirname(sys.executable), "swerex-remote")
        self._server = subprocess.Popen(
            [program, "--host", "127.0.0.1", "--port", str(port), "--auth-token", token],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._runtime: Any = RemoteRuntime(host="http://127.0.0.1", port=port, auth_token=token)
        self._wait(self._runtime.wait_until_alive(timeout=DEADLINE_S))
        self._wait(self._runtime.create_session(CreateBashSessionRequest()))

    @classmethod
    def _wait(cls, work: Awaitable[T]) -> T:
        if SweRex._loop is None:
            SweRex._loop = asyncio.new_event_loop()
        return SweRex._loop.run_until_complete(work)

    def run(self, command: str) -> str:
        """Run a command and give its output."""
        from swerex.runtime.abstract import BashAction  # noqa: PLC0415

        action = BashAction(command=command, timeout=DEADLINE_S)
        return str(self._wait(self._runtime.run_in_session(action)).output)

    def close(self) -> None:
        """Give it back."""
        with suppress(Exception):
            self._wait(self._runtime.close())
        self._server.terminate()
        self._server.wait(DEADLINE_S)


def contenders(gold_name: str, backends: tuple[str, ...], *, peers: bool = True) -> Iterator[Contender]:
    """Yield the two floors, each back end that works here, and each peer that is installed.

    Args:
        gold_name: whose image the machines start from.
        backends: names of back ends to measure.
        peers: whether other people's tools run beside ours.
    """
    yield Contender("bash on this host, a pipe", BashPipe)
    yield Contender("the same with eval, empty input, status", BashLikeOurs)
    docker_image = ""
    for name in backends:
        backend: Backend = plugins.create("backends", name)
        if backend.problems():
            print(f"left out: {name}: {backend.problems()[0]}", file=sys.stderr)
            continue
        image = gold.image(gold.load(gold_name), backend)
        if name == "docker":
            docker_image = image.ref
        yield _ours(backend, image)
    if peers and docker_image and importlib.util.find_spec("minisweagent"):
        os.environ.setdefault("MSWEA_SILENT_STARTUP", "1")
        yield Contender("mini-swe-agent, docker", lambda: MiniSweAgent(docker_image))
    if peers and importlib.util.find_spec("swerex"):
        yield Contender("SWE-ReX, no container", SweRex)


def _ours(backend: Backend, image: Image) -> Contender:
    prepare = getattr(backend, "prepare", None)  # docker keeps a warm pool
    return Contender(
        f"cligym_env, {backend.name}",
        lambda: Ours(backend.start(image)),
        (lambda: prepare(image, 1)) if prepare else (lambda: None),
        backend.close,
    )

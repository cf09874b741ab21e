r"""A back end in memory, for tests of everything above the sandbox. Nothing runs, no time passes.

Give it files, and a handler that plays the commands a test is about; the rest a little shell does
(``cd``, ``cat``, ``echo``, ``rm``, redirection, lists and pipelines; ``sleep`` moves a virtual clock)::

    def handler(command, state):
        if command == "make test":
            return 1, "1 failed\n"

    backend = FakeBackend(handler, files={"/testbed/setup.cfg": b"[metadata]"})
    sandbox = backend.start(backend.find("base"))

=================================  ==================================================
does                               does not
=================================  ==================================================
files, modes, owners, links        hard links, times, devices
layers, names, snapshots           outlive the process
exit codes, output caps            background jobs, signals, loops, functions
deadlines, in virtual time         isolation, limits other than ``output_bytes``
a lost sandbox (``lose()``)        environments of real programs
=================================  ==================================================
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cligym_env.backends._bash import CappedOutput
from cligym_env.backends._fake import exemptions
from cligym_env.backends._fake.base import BASE, BASE_ENVIRON
from cligym_env.backends._fake.builtins import BUILTINS
from cligym_env.backends._fake.disk import Disk, Node, entry_of
from cligym_env.backends._fake.interpreter import (
    DeadlineReached,
    Handler,
    Interpreter,
    ShellEnded,
    State,
    Streams,
)
from cligym_env.core import Entry, ExecResult, Image, Limits, Shell
from cligym_env.errors import (
    ActionError,
    BackendUnavailableError,
    ImageError,
    SandboxLostError,
    ShellLostError,
)

__all__ = ["FakeBackend", "FakeSandbox", "FakeShell", "FakeSnapshot", "Handler", "State", "create"]

_NAME = "fake"
_IMAGES: dict[str, Disk] = {"base": BASE}
_NAMES: dict[str, str] = {"base": "base"}
_COUNTER = itertools.count(1)


def create(
    handler: Handler | None = None,
    files: Mapping[str, bytes] | None = None,
    problems: Sequence[str] = (),
) -> FakeBackend:
    """Make the back end; see ``FakeBackend``."""
    return FakeBackend(handler, files=files, problems=problems)


class FakeBackend:
    """Keeps ``core.Backend`` in memory. The images are the process's, as they are the machine's elsewhere.

    Args:
        handler: plays commands; gets the command's text and the ``State`` it may change.
        files: absolute path → content, in every sandbox of an image named ``base``.
        problems: what ``problems`` shall say, for tests of a machine where nothing works.
    """

    name = _NAME
    not_conforming = exemptions.NOT_CONFORMING

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        self.handler = handler
        self.sandboxes: list[FakeSandbox] = []
        self._problems = tuple(problems)
        self._base = "base"
        if files:
            disk = BASE.copy()
            for path, content in files.items():
                disk.write(path, content, mode=0o644, owner=(0, 0))
            self._base = _keep(disk).ref

    def problems(self) -> Sequence[str]:
        """Give what the test wanted."""
        return self._problems

    def start(self, image: Image, limits: Limits | None = None) -> FakeSandbox:
        """Start a sandbox; see ``core.Backend.start``."""
        if self._problems:
            raise BackendUnavailableError("; ".join(self._problems))
        if image.backend != self.name or image.ref not in _IMAGES:
            raise ImageError(f"the fake back end has no image {image.ref!r}")
        sandbox = FakeSandbox(image, limits or Limits(), self.handler)
        self.sandboxes.append(sandbox)
        return sandbox

    def load(self, archive: Path, name: str) -> Image:
        """Take a tar into the store; see ``core.Backend.load``."""
        disk = Disk()
        try:
            disk.unpack(archive.read_bytes())
        except OSError as error:
            raise ImageError(f"{archive}: {error}") from error
        image = _keep(disk)
        self.tag(image, name)
        return image

    def find(self, name: str) -> Image | None:
        """Give the image of a name; ``base`` is always there."""
        ref = self._base if name == "base" else _NAMES.get(name)
        return Image(self.name, ref) if ref else None

    def tag(self, image: Image, name: str) -> None:
        """Name an image."""
        if image.ref not in _IMAGES:
            raise ImageError(f"the fake back end has no image {image.ref!r}")
        _NAMES[name] = image.ref

    def sweep(self) -> int:
        """Find nothing: what is in memory dies with its owner."""
        return 0

    def close(self) -> None:
        """Close every sandbox."""
        for sandbox in self.sandboxes:
            sandbox.close()


class FakeSandbox:
    """Keeps ``core.Sandbox`` on a disk in memory.

    Args:
        image: it starts from.
        limits: of which ``output_bytes`` is kept.
        handler: plays commands.
    """

    def __init__(self, image: Image, limits: Limits, handler: Handler | None) -> None:
        self.image = image
        self.limits = limits
        self.disk = _IMAGES[image.ref].copy()
        self.commands: list[str | Sequence[str]] = []
        self.clock_s = 0.0
        self._handler = handler
        self._lost = ""
        self._lock = threading.RLock()

    def lose(self) -> None:
        """Act as if the machine had died: every later call raises SandboxLostError."""
        self._lost = "the sandbox was lost"

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout_s: float,
        user: str = "root",
        cwd: str | None = None,
        environ: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> ExecResult:
        """Run one command; see ``core.Sandbox.exec``."""
        _check(command)
        with self._lock:
            self._alive()
            state = self.state(user=user, cwd=cwd or "/", environ=environ)
            node = self.disk.at(state.cwd)
            if node is None or node.kind != "dir":
                return ExecResult(126, f"cannot enter {state.cwd}\n".encode())
            result = self.play(command, state, timeout_s, stdin)
        return replace(result, restarted=False)

    def play(
        self, command: str | Sequence[str], state: State, timeout_s: float, stdin: bytes = b""
    ) -> ExecResult:
        """Run a command against a state; ``restarted`` tells that it ended its shell."""
        self.commands.append(command)
        output = bytearray()
        shell = Interpreter(state, BUILTINS, self._handler)
        streams = Streams(stdin, output, output)
        state.clock_s, state.deadline_s = self.clock_s, self.clock_s + timeout_s
        exit_code: int | None
        ended = False
        try:
            if isinstance(command, str):
                exit_code = shell.run(command, streams)
            else:
                exit_code = shell.call(list(command), streams)
            state.status = exit_code
        except DeadlineReached:
            exit_code = None
        except ShellEnded as end:
            exit_code, ended = end.exit_code, True
        self.clock_s = state.clock_s
        capped = CappedOutput(self.limits.output_bytes)
        capped.feed(output)
        kept, n_dropped = capped.result()
        return ExecResult(exit_code, kept, n_dropped, ended)

    def state(self, *, user: str, cwd: str, environ: Mapping[str, str] | None) -> State:
        """Give a new process's state.

        Raises:
            SandboxLostError: closed, frozen or lost.
        """
        self._alive()
        uid, gid = self._ids(user)
        variables = dict(BASE_ENVIRON if environ is None else environ)
        return State(self.disk, cwd, variables, set(variables), uid, gid)

    def _ids(self, user: str) -> tuple[int, int]:
        if user == "root":
            return 0, 0
        uid, colon, gid = user.partition(":")
        if colon:
            return int(uid), int(gid)
        passwd = self.disk.at("/etc/passwd")
        for line in (passwd.data if passwd else b"").decode().splitlines():
            fields = line.split(":")
            if fields[0] == user:
                return int(fields[2]), int(fields[3])
        return 65534, 65534

    def shell(
        self, *, user: str = "root", cwd: str = "/", environ: Mapping[str, str] | None = None
    ) -> Shell:
        """Open a shell; see ``core.Sandbox.shell``."""
        with self._lock:
            return FakeShell(self, lambda where: self.state(user=user, cwd=where, environ=environ), cwd)

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """Read a file; see ``core.Sandbox.read``."""
        self._alive()
        return _content(self.disk.at(path), path, max_bytes)

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file; see ``core.Sandbox.write``."""
        with self._lock:
            self._alive()
            real = self.disk.resolve(path)
            self.disk.place(real, Node("file", mode, data=data))

    def put(self, archive: bytes, *, remove: Sequence[str] = ()) -> None:
        """Remove paths and unpack a tar; see ``core.Sandbox.put``."""
        with self._lock:
            self._alive()
            self.disk.unpack(archive, remove)

    def freeze(self) -> FakeSnapshot:
        """Give the disk for good; see ``core.Sandbox.freeze``."""
        with self._lock:
            self._alive()
            self._lost = "the sandbox is frozen"
            return FakeSnapshot(self.disk, _IMAGES[self.image.ref])

    def commit(self) -> Image:
        """Keep the disk as an image; see ``core.Sandbox.commit``."""
        with self._lock:
            self._alive(frozen=True)
            self._lost = "the sandbox is frozen"
            return _keep(self.disk)

    def close(self) -> None:
        """Give it back; harmless twice."""
        self._lost = "the sandbox is closed"

    def _alive(self, *, frozen: bool = False) -> None:
        if self._lost and not (frozen and self._lost == "the sandbox is frozen"):
            raise SandboxLostError(self._lost)


class FakeShell:
    """Keeps ``core.Shell``.

    Args:
        sandbox: it runs in.
        renew: gives a new shell's state in a directory.
        cwd: to begin with.
    """

    def __init__(self, sandbox: FakeSandbox, renew: Callable[[str], State], cwd: str) -> None:
        self._sandbox = sandbox
        self._renew = renew
        self._closed = False
        self.state = renew(cwd)

    def run(self, command: str, *, timeout_s: float) -> ExecResult:
        """Run one command; see ``core.Shell.run``."""
        _check(command)
        with self._sandbox._lock:
            self._sandbox._alive()
            if self._closed:
                raise ShellLostError("this shell is closed")
            result = self._sandbox.play(command, self.state, timeout_s)
            if result.restarted:
                self.state = self._renew(self.state.cwd)
        return result

    def close(self) -> None:
        """End it; harmless twice."""
        self._closed = True


class FakeSnapshot:
    """Keeps ``core.Snapshot``.

    Args:
        disk: as it was frozen.
        image: it is compared with.
    """

    def __init__(self, disk: Disk, image: Disk) -> None:
        self._disk = disk
        self._image = image

    def changes(self, *, max_paths: int = 20_000) -> Mapping[str, Entry]:
        """Tell what changed; see ``core.Snapshot.changes``."""
        found = self._disk.changes(self._image)
        if len(found) > max_paths:
            raise OverflowError(f"{len(found)} changed paths, more than {max_paths}")
        return found

    def entry(self, path: str) -> Entry:
        """Tell one path; see ``core.Snapshot.entry``."""
        return entry_of(self._disk.nodes.get(path.rstrip("/") or "/"), digest=True)

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """Read a file; see ``core.Snapshot.read``."""
        return _content(self._disk.nodes.get(path), path, max_bytes)


def _content(node: Node | None, path: str, max_bytes: int) -> bytes:
    if node is None or node.kind != "file":
        raise FileNotFoundError(path)
    if len(node.data) > max_bytes:
        raise OverflowError(f"{path}: {len(node.data)} bytes, more than {max_bytes}")
    return node.data


def _check(command: str | Sequence[str]) -> None:
    if any("\0" in word for word in ([command] if isinstance(command, str) else command)):
        raise ActionError("a command cannot hold a NUL character")


def _keep(disk: Disk) -> Image:
    ref = f"image-{next(_COUNTER)}"
    _IMAGES[ref] = disk.copy()
    return Image(_NAME, ref)

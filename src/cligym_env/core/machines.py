"""Machines: images, sandboxes, shells, snapshots, and what starts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

__all__ = [
    "Backend",
    "Entry",
    "ExecResult",
    "Image",
    "Limits",
    "Sandbox",
    "Shell",
    "Snapshot",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use. Each back end's table says which of these it can enforce.

    Attributes:
        memory_bytes: resident memory of all processes together.
        n_pids: processes and threads at one time.
        n_cpus: processor shares.
        disk_bytes: what the sandbox may add to its image.
        output_bytes: what one call keeps of its output; the rest is read and dropped.
        network: reach beyond the sandbox's own loopback; only gold builds turn it on.
    """

    memory_bytes: int = 1 << 30
    n_pids: int = 256
    n_cpus: float = 1.0
    disk_bytes: int = 2 << 30
    output_bytes: int = 1 << 20
    network: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A file system to start from, in the store of one back end.

    Attributes:
        backend: name of the back end that holds it.
        ref: that back end's own, unique reference to it (a docker image id, a layer chain).
    """

    backend: str
    ref: str


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What one command did.

    Attributes:
        exit_code: its exit status, 128+n after signal n; ``None`` when the deadline ended it.
        output: stdout and stderr in the order written, at most ``Limits.output_bytes``: the
            first half and the last half of what was printed when it was more.
        n_dropped_bytes: how much was left out of ``output``.
        restarted: a shell's command ended the shell, and a new one stands in its place
            with the old one's directory; variables and functions are gone.
    """

    exit_code: int | None
    output: bytes
    n_dropped_bytes: int = 0
    restarted: bool = False

    @property
    def timed_out(self) -> bool:
        """Whether the deadline ended the command."""
        return self.exit_code is None

    @property
    def text(self) -> str:
        """The output as text; what is not UTF-8 becomes U+FFFD."""
        return self.output.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Entry:
    """One path in a file system, links not followed.

    Attributes:
        kind: ``absent`` marks a deletion; ``other`` is a device, socket or FIFO.
        mode: permission bits, ``0o7777`` at most; 0 for links and absences.
        uid, gid: numeric owner.
        size_bytes: of a regular file.
        target: of a symbolic link.
        sha256: of a regular file's content; empty where it was not asked for.
        opaque: a directory that hides everything the image had below it.
    """

    kind: Literal["file", "dir", "link", "absent", "other"]
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size_bytes: int = 0
    target: str = ""
    sha256: str = ""
    opaque: bool = False


class Snapshot(Protocol):
    """The disk of a sandbox in which nothing runs any more. Read from outside, never executed."""

    def changes(self, *, max_paths: int = 20_000) -> Mapping[str, Entry]:
        """What differs from the image the sandbox started from, by absolute path, sorted.

        Digests are left empty. A path touched but equal may be listed.

        Raises:
            OverflowError: more than ``max_paths`` changed paths.
        """
        ...

    def entry(self, path: str) -> Entry:
        """One path's state, changed or not, with its digest; ``absent`` where there is none.

        Symbolic links on the way to the path are NOT followed: below one, all is absent.
        """
        ...

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """A regular file's content, changed or not.

        Raises:
            FileNotFoundError: not a regular file, or below a symbolic link.
            OverflowError: larger than ``max_bytes``.
        """
        ...


class Shell(Protocol):
    """The persistent bash a policy types into: directory, variables, functions, jobs stay."""

    def run(self, command: str, *, timeout_s: float) -> ExecResult:
        """Run one command line or script and wait for its end.

        At the deadline the command is interrupted, then killed, then the shell is replaced;
        the call returns within 5 s of it. Standard input is empty. A background job may go on.

        Raises:
            SandboxLostError: the sandbox is gone.
            ShellLostError: the sandbox lives but starts no shell any more.
        """
        ...

    def close(self) -> None:
        """End the shell; harmless twice."""
        ...


class Sandbox(Protocol):
    """One machine. Every call has a deadline; none raises for what the command inside does."""

    image: Image

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
        """Run one command in a process of its own.

        Args:
            command: a string goes to ``/bin/bash -c``; a sequence is an argument vector,
                started without a shell.
            timeout_s: the deadline; all that the command started in the foreground dies at it.
            user: name in the sandbox's ``/etc/passwd``, or a numeric ``uid:gid``.
            cwd: directory; ``/`` when left out.
            environ: the COMPLETE environment; a minimal one (PATH, HOME, LANG) when left out.
            stdin: fed to the command, then closed.

        Raises:
            SandboxLostError: the sandbox is gone.
        """
        ...

    def shell(
        self, *, user: str = "root", cwd: str = "/", environ: Mapping[str, str] | None = None
    ) -> Shell:
        """Open a persistent shell; a sandbox can hold several."""
        ...

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """A file's content, links followed inside the sandbox.

        Raises:
            FileNotFoundError: there is no such regular file.
            OverflowError: larger than ``max_bytes``.
        """
        ...

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file as root, making the folders it needs."""
        ...

    def put(self, archive: bytes, *, remove: Sequence[str] = ()) -> None:
        """Remove paths (whole trees, links not followed), then unpack a tar at ``/``.

        Members carry numeric owners, modes, times and links; they replace what stands there,
        and none is written through a symbolic link out of the sandbox. Does not depend on
        programs inside the sandbox.
        """
        ...

    def freeze(self) -> Snapshot:
        """End every process inside, for good, and give the disk. Works after ``rm -rf /``."""
        ...

    def commit(self) -> Image:
        """Keep what changed as one small layer on top of the image. The sandbox is frozen then."""
        ...

    def close(self) -> None:
        """Give everything back; harmless twice. Also runs at interpreter exit."""
        ...


class Backend(Protocol):
    """What starts machines. One file each in ``backends/``."""

    name: str

    def problems(self) -> Sequence[str]:
        """Why it does not work here, each with the way out; empty when it works."""
        ...

    def start(self, image: Image, limits: Limits = ...) -> Sandbox:
        """Start one sandbox.

        Raises:
            BackendUnavailableError: the back end does not work here.
            ImageError: the image is not in the store.
        """
        ...

    def load(self, archive: Path, name: str) -> Image:
        """Take a root file system from a tar into the store, under a name."""
        ...

    def find(self, name: str) -> Image | None:
        """The image of that name, if it is in the store."""
        ...

    def tag(self, image: Image, name: str) -> None:
        """Give an image a name, taking it from another one if need be."""
        ...

    def sweep(self) -> int:
        """Remove what dead owners left; the number of sandboxes removed."""
        ...

    def close(self) -> None:
        """Close every sandbox this object started, and what stands behind them; harmless twice."""
        ...

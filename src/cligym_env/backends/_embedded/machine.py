"""One embedded sandbox: see ``core.Sandbox`` for what each call promises."""

from __future__ import annotations

import _socket
import contextlib
import errno
import io
import os
import secrets
import tarfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cligym_env.backends._bash import ARGV, BashSession, CappedOutput
from cligym_env.backends._embedded import wire
from cligym_env.backends._embedded.client import Zygote, wait_readable
from cligym_env.backends._embedded.command import Command
from cligym_env.backends._embedded.snapshot import EmbeddedSnapshot
from cligym_env.backends._embedded.store import Store
from cligym_env.core import ExecResult, Image, Limits
from cligym_env.errors import (
    ActionError,
    BackendUnavailableError,
    DeadlineError,
    SandboxError,
    SandboxLostError,
    ShellLostError,
    UsageError,
)

__all__ = ["EmbeddedSandbox"]

_START_S = 180.0
_FILE_S = 300.0
_LATE_S = 4.0  # for what is killed at a deadline to be gone
_ARGUMENT_BYTES = 100_000  # the kernel takes 128 KiB in one argument
_KINDS = {
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "hard",
    tarfile.FIFOTYPE: "fifo",
}


class EmbeddedSandbox:
    """A machine made of namespaces over an overlay.

    Args:
        zygote: forks its PID 1.
        store: holds the image, and gets what is committed.
        image: to start from.
        limits: what it may use.

    Raises:
        BackendUnavailableError: it cannot be set up here.
    """

    def __init__(self, zygote: Zygote, store: Store, image: Image, limits: Limits) -> None:
        self.image = image
        self.id = f"{zygote.owner}-{secrets.token_hex(6)}"
        self.limits = limits
        self._zygote = zygote
        self._store = store
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._shells: weakref.WeakSet[BashSession] = weakref.WeakSet()
        self._snapshot: EmbeddedSnapshot | None = None
        self._committed: Image | None = None
        self._frozen = False
        self._closed = False
        lower = store.lower(image)
        config = {
            "id": self.id,
            "host": self.id[-12:],
            "lower": lower,
            "limits": {
                "memory_bytes": limits.memory_bytes,
                "n_pids": limits.n_pids,
                "n_cpus": limits.n_cpus,
                "disk_bytes": limits.disk_bytes,
                "network": limits.network,
            },
        }
        self._control = zygote.order(("start", config))
        try:
            self._expect_ready()
        except BaseException:
            self.close()
            raise

    def _expect_ready(self) -> None:
        if not wait_readable(self._control.fileno(), _START_S):
            raise BackendUnavailableError(f"a sandbox does not start within {_START_S:.0f} s")
        answer = self._control.recv(8192)
        if answer != b"ready":
            reason = answer.decode("utf-8", "replace").removeprefix("error ")
            raise BackendUnavailableError(f"a sandbox cannot be set up: {reason or 'it ended at once'}")

    @property
    def folder(self) -> str:
        """The sandbox's folder inside the store."""
        return f"sandboxes/{self._zygote.owner}/{self.id}"

    # ── orders to PID 1 ─────────────────────────────────────────────────────────────────────

    def _order(self, message: tuple[Any, ...], descriptors: tuple[int, ...] = ()) -> _socket.socket:
        ours, theirs = wire.pair()
        try:
            if self._frozen or self._closed:
                raise SandboxLostError("the sandbox is frozen or closed")
            if self._pid != os.getpid():
                raise SandboxLostError("the sandbox belongs to the process this one was forked from")
            wire.send(self._control, message, (theirs.fileno(), *descriptors))
        except OSError as error:
            ours.close()
            raise SandboxLostError(f"the sandbox is gone: {error}") from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def _ask(self, message: tuple[Any, ...], descriptors: tuple[int, ...] = ()) -> list[int]:
        """Have PID 1 do something about files.

        Raises:
            OSError: as it was raised there.
        """
        with contextlib.closing(self._order(message, descriptors)) as sock:
            if not wait_readable(sock.fileno(), _FILE_S):
                raise DeadlineError(f"{message[0]} did not end within {_FILE_S:.0f} s")
            try:
                answer, received = wire.recv_raw(sock)
            except OSError:
                answer, received = b"", []
        if not answer:
            raise SandboxLostError(f"the sandbox ended during {message[0]}")
        if answer != b"ok":
            _, number, text = answer.split(b" ", 2)
            raise OSError(int(number), text.decode("utf-8", "replace"))
        return received

    # ── commands ────────────────────────────────────────────────────────────────────────────

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
        """Run one command in a process of its own; see ``core.Sandbox.exec``."""
        deadline = time.monotonic() + timeout_s
        staged = ""
        if isinstance(command, str):
            if len(command) > _ARGUMENT_BYTES // 4 and len(os.fsencode(command)) > _ARGUMENT_BYTES:
                staged = self._stage(_bytes(command))
                command = f". {staged}"
            argv = ["/bin/bash", "-c", command]
        else:
            argv = list(command)
        request = _request(argv, environ, cwd or "/", user, is_shell=False)
        try:
            running = Command(self._order, request, with_stdin=bool(stdin))
            with contextlib.closing(running):
                return self._follow(running, stdin, deadline)
        finally:
            if staged:
                with contextlib.suppress(SandboxLostError):
                    self._order(("unstage", staged)).close()

    def _follow(self, running: Command, stdin: bytes, deadline: float) -> ExecResult:
        if stdin:
            feeder = threading.Thread(target=_feed, args=(os.dup(running.stdin), stdin), daemon=True)
            running.close_stdin()
            feeder.start()
        output = CappedOutput(self.limits.output_bytes)
        timed_out = False
        while data := running.recv(deadline - time.monotonic()) or b"":
            output.feed(data)
            if time.monotonic() > deadline:
                break
        if running.running:
            timed_out = True
            running.end()
            late = time.monotonic() + _LATE_S
            while time.monotonic() < late and (data := running.recv(late - time.monotonic()) or b""):
                output.feed(data)
        if running.refused:
            return ExecResult(126, running.refused.encode() + b"\n")
        exit_code = None if timed_out else running.exit_code()
        return ExecResult(exit_code, *output.result())

    def shell(
        self, *, user: str = "root", cwd: str = "/", environ: Mapping[str, str] | None = None
    ) -> BashSession:
        """Open a persistent shell; see ``core.Sandbox.shell``."""

        def open_channel(folder: str) -> Command:
            channel = Command(
                self._order, _request(list(ARGV), environ, folder, user, is_shell=True), with_stdin=True
            )
            if channel.refused:
                raise ShellLostError(channel.refused)
            return channel

        session = BashSession(open_channel, output_bytes=self.limits.output_bytes, cwd=cwd)
        self._shells.add(session)
        return session

    # ── files ───────────────────────────────────────────────────────────────────────────────

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """A file's content; see ``core.Sandbox.read``."""
        try:
            descriptor = self._ask(("read", _path(path)))[0]
        except OSError as error:
            raise FileNotFoundError(error.errno or errno.ENOENT, error.strerror, path) from error
        return wire.read_capped(descriptor, path, max_bytes)

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file; see ``core.Sandbox.write``."""
        with _told(f"{path} cannot be written"):
            self._write(_path(path), data, mode)

    def _write(self, path: str, data: bytes, mode: int) -> None:
        content = wire.memory_file(data)
        try:
            self._ask(("write", path, mode), (content,))
        finally:
            os.close(content)

    def _stage(self, data: bytes) -> str:
        """Put a file where only memory is used; without room there, bash says that it is missing."""
        path = f"/dev/.cligym/{secrets.token_hex(8)}"
        with contextlib.suppress(OSError):
            self._write(path, data, 0o644)
        return path

    def put(self, archive: bytes, *, remove: Sequence[str] = ()) -> None:
        """Remove paths, then unpack a tar; see ``core.Sandbox.put``.

        Raises:
            UsageError: the archive is no tar.
        """
        members, content = _members(archive)
        try:
            with _told("an archive cannot be unpacked"):
                self._ask(("put", members, [_path(path) for path in remove]), (content,))
        finally:
            os.close(content)

    # ── the end ─────────────────────────────────────────────────────────────────────────────

    def freeze(self) -> EmbeddedSnapshot:
        """End every process inside and give the disk; see ``core.Sandbox.freeze``."""
        with self._lock:
            if self._closed:
                raise SandboxLostError("the sandbox is closed")
            self._end()
            if self._snapshot is None:
                self._snapshot = EmbeddedSnapshot(self._zygote, self.folder, self._store.lower(self.image))
            return self._snapshot

    def _end(self) -> None:
        if not self._frozen:
            self._frozen = True
            self._zygote.end(self.id)

    def commit(self) -> Image:
        """Keep what changed as a layer; see ``core.Sandbox.commit``."""
        with self._lock:
            if self._closed:
                raise SandboxLostError("the sandbox is closed")
            self._end()
            if self._committed is None:
                if self._snapshot is None:
                    self.freeze()  # holds the folder open, so that both can be had
                self._committed = self._store.keep(self._zygote, f"{self.folder}/upper", self.image)
            return self._committed

    def close(self) -> None:
        """Give everything back; harmless twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._pid != os.getpid():
                self._control.close()
                return
            try:
                for session in list(self._shells):
                    session.forget()
                self._end()
                for session in list(self._shells):
                    session.close()
                if self._snapshot is not None:
                    self._snapshot.close()
                self._store.remove(self._zygote, self.folder)
            except SandboxLostError:
                pass  # the zygote is gone, and has taken everything with it
            finally:
                self._control.close()


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Raise what the kernel said about a file inside as an error of ours."""
    try:
        yield
    except OSError as error:
        raise SandboxError(f"{what}: {error.strerror or error}") from error


def _feed(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    with contextlib.suppress(OSError):  # it has read enough
        while view:
            view = view[os.write(descriptor, view) :]
    os.close(descriptor)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _path(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"not an absolute path inside a sandbox: {path!r}")
    return path


def _request(
    argv: list[str], environ: Mapping[str, str] | None, cwd: str, user: str, *, is_shell: bool
) -> dict[str, Any]:
    texts = [*argv, cwd, user, *(f"{name}={value}" for name, value in (environ or {}).items())]
    if any("\0" in text for text in texts):
        raise ActionError("a command cannot hold a NUL character")
    if not argv or not argv[0]:
        raise UsageError("an empty argument vector")
    return {
        "argv": [_bytes(argument) for argument in argv],
        "environ": None if environ is None else {_bytes(k): _bytes(v) for k, v in environ.items()},
        "cwd": cwd,
        "user": user,
        "shell": is_shell,
    }


def _members(archive: bytes) -> tuple[list[tuple[Any, ...]], int]:
    """A tar's members, and a memory file with their contents; no bytes are a tar without members."""
    members: list[tuple[Any, ...]] = []
    content = os.memfd_create("cligym", os.MFD_CLOEXEC)
    offset = 0
    if not archive:
        return members, content
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for info in tar:
                kind = "file" if info.isreg() else _KINDS.get(info.type)
                if kind is None:
                    continue
                stream = tar.extractfile(info) if kind == "file" else None
                size = 0
                while stream is not None and (part := stream.read(1 << 20)):
                    view = memoryview(part)
                    size += len(view)
                    while view:
                        view = view[os.write(content, view) :]
                meta = (info.mode, info.uid, info.gid, float(info.mtime), info.linkname)
                members.append((info.name, kind, *meta, offset, size))
                offset += size
    except (tarfile.TarError, OSError, EOFError) as error:
        os.close(content)
        raise UsageError(f"not a tar archive: {error}") from error
    return members, content

"""The shell's stream: a bash in the container over one exec of the engine."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping

from cligym_env.backends._bash import ARGV
from cligym_env.backends._docker import command
from cligym_env.backends._docker.container import Container
from cligym_env.backends._docker.control import ControlLostError
from cligym_env.backends._docker.pipes import Pipes
from cligym_env.backends._docker.stream import Stream
from cligym_env.errors import ShellLostError

__all__ = ["ExecChannel"]


class ExecChannel:
    """One running bash; keeps the promises of ``_bash.Channel``.

    Args:
        container: where.
        user: who runs it.
        cwd: where it starts; ``/`` when that is gone.
        environ: its complete environment.

    Raises:
        ShellLostError: the container starts no bash.
        SandboxLostError: the container is gone.
    """

    def __init__(self, container: Container, user: str, cwd: str, environ: Mapping[str, str]) -> None:
        self._container = container
        self._exec, self._stream = self._start(user, cwd, environ)
        self._early = self._exec.early
        self._since = self._exec.since
        self._ended = False
        self._stage = f".cligym-{secrets.token_hex(8)}"
        self.pid = self._exec.pid
        self.closed = False
        self._closing = threading.Lock()

    def _start(
        self, user: str, cwd: str, environ: Mapping[str, str]
    ) -> tuple[command.Exec, Stream | Pipes]:
        container, program = self._container, command.Program(ARGV, user, cwd, environ, root_if_gone=True)
        for last in (False, True):
            container.check_open()
            self._control = container.control
            found = self._over_pipes(program)
            if found is not None:
                return found
            made = command.start(container, program)
            if made.pid and made.stream is not None:
                return made, made.stream
            if made.stream is not None:
                made.stream.close()
            container.check_running()
            why = made.early.decode("utf-8", "replace").strip()[:300]
            if last or "/bin/bash" in why or "user" in why:  # it would not help
                break
            container.restart(self._control)  # something in it keeps every new process from standing
        raise ShellLostError(f"no shell starts: {why}")

    def _over_pipes(self, program: command.Program) -> tuple[command.Exec, Pipes] | None:
        """Start a shell that reads and writes pipes of our own, where that can be."""
        root = self._container.root
        if not root:
            return None
        try:
            pipes = Pipes(root)
        except OSError:
            return None
        try:
            made = command.start(self._container, program, pipes)
            if made.stream is not None:
                made.stream.close()
            if made.pid:
                pipes.connected(made.host_pid())
                return made, pipes
        except OSError:
            pass
        except BaseException:
            pipes.close()
            raise
        pipes.close()
        return None

    def send(self, data: bytes, *, begins: bool = True) -> None:
        """Write to the shell's standard input."""
        if begins:
            self._since = self._control.ticks()
        self._stream.send(data)

    def unread_bytes(self) -> int:
        """What was sent and not read yet; the engine's stream does not tell."""
        return self._stream.unread_bytes() if isinstance(self._stream, Pipes) else 0

    def recv(self, timeout_s: float) -> bytes | None:
        """Read what the shell and its children printed."""
        if self._early:
            early, self._early = self._early, b""
            return early
        # The engine hangs up soon after the process itself has ended, whoever holds the pipe.
        data = self._stream.recv(timeout_s)
        self._ended = self._ended or data == b""
        return data

    def interrupt(self) -> None:
        """SIGINT to the shell and all below it, at one moment."""
        try:
            self._control.interrupt(self._exec.pid)
        except ControlLostError:
            self._container.restart(self._control)

    def kill(self) -> None:
        """SIGKILL to what the last command started, SIGINT to the shell."""
        try:
            self._control.kill_below(self._exec.pid, self._since)
        except ControlLostError:
            self._container.restart(self._control)

    def exit_code(self) -> int:
        """Status of the ended shell."""
        self._container.check_open()
        code = self._exec.exit_code(30.0)
        if code in (129, 137, 143, 255):  # so a shell ends, too, when its container dies
            self._container.check_running()
        return 255 if code is None else code

    def stage(self, data: bytes) -> str:
        """Put a file into memory inside the sandbox; without room, name one that is not there."""
        try:
            return self._control.stage(self._stage, data) or f"/dev/shm/{self._stage}"
        except ControlLostError as error:
            self._container.check_running()
            raise ShellLostError(f"a long command cannot be handed over: {error}") from error

    def unstage(self, path: str) -> None:
        """Empty a staged file; it is used again, and goes with the sandbox."""
        try:
            self._control.empty(path)
        except ControlLostError:
            return

    def close(self) -> None:
        """Kill the shell and what it runs in the foreground; harmless twice."""
        with self._closing:
            if self.closed:
                return
            self.closed = True
        self._stream.close()
        container = self._container
        if self._ended or container.frozen or container.closed or self._control is not container.control:
            return
        try:
            self._control.kill_family(self._exec.pid, self._since)
        except ControlLostError:
            return

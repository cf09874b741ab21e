"""Single commands: one exec of the engine each, fed, read and ended at its deadline."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import docker.errors

from cligym_env.backends._bash import CappedOutput
from cligym_env.backends._docker.control import ControlLostError
from cligym_env.backends._docker.engine import told_as
from cligym_env.backends._docker.pipes import Pipes
from cligym_env.backends._docker.stream import Stream, start_exec
from cligym_env.core import ExecResult
from cligym_env.errors import SandboxLostError

if TYPE_CHECKING:
    from cligym_env.backends._docker.container import Container

__all__ = ["Exec", "Program", "environ_of", "run", "start"]

# Says which process it is, goes to the directory, puts stdout and stderr in one pipe so that their
# order stays, and becomes the command in exactly the given environment. `-p` keeps BASH_ENV away.
_BEGIN = r"""
if [[ $4 ]]; then exec <"$4" >"$5" 2>&1; fi
\builtin printf '%s %s\n' "$1" "$$"
if ! \builtin cd -- "$2" 2>/dev/null; then
  [[ $3 ]] || { \builtin printf '%s: no such directory\n' "$2"; \builtin exit 126; }
  \builtin cd /
fi
n=$6; \builtin shift 6
if [[ -x /usr/bin/env ]]; then \builtin exec -c /usr/bin/env -- "$@" 2>&1; fi
\builtin shift "$n"
\builtin exec -- "$@" 2>&1
"""

_DRAIN_S = 1.0  # for the output of what was killed to come through
_STATUS_S = 60.0
_LATE_S = 1.0  # the engine tells an exit code a moment after the output has ended
_BEGIN_S = 60.0  # for the engine to start a process; it takes 40 ms when it is not busy
_MAX_BEGIN_BYTES = 4096

_DEFAULT_ENVIRON = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


def environ_of(environ: Mapping[str, str] | None, user: str) -> dict[str, str]:
    """The environment asked for, or the minimal one."""
    if environ is not None:
        return dict(environ)
    home = "/root" if user in ("root", "0", "0:0") else f"/home/{user}" if not user[:1].isdigit() else "/"
    return {**_DEFAULT_ENVIRON, "HOME": home}


@dataclass(frozen=True, slots=True)
class Program:
    """What to start.

    Attributes:
        argv: its argument vector.
        user: name or numeric ``uid:gid``.
        cwd: its directory.
        environ: its complete environment.
        root_if_gone: take ``/`` when the directory is not there.
    """

    argv: Sequence[str]
    user: str
    cwd: str
    environ: Mapping[str, str]
    root_if_gone: bool = False

    def wrapped(self, nonce: str, pipes: tuple[str, str]) -> list[str]:
        """The argument vector with what comes before the program itself."""
        variables = [f"{name}={value}" for name, value in self.environ.items()]
        gone = "1" if self.root_if_gone else ""
        begin = ["cligym", nonce, self.cwd, gone, *pipes, str(len(variables))]
        bash = ["/bin/bash", "--noprofile", "--norc", "-p", "-c", _BEGIN]
        return [*bash, *begin, *variables, *self.argv]


@dataclass(slots=True)
class Exec:
    """A process that the engine started in a container.

    Attributes:
        container: where.
        id: the engine's name for it.
        stream: its input and output; ``None`` when the engine refused to start it.
        pid: its process id inside; 0 when it never began.
        since: when, in clock ticks.
        early: what came instead of a beginning, or after it.
    """

    container: Container
    id: str
    stream: Stream | None
    pid: int
    since: int
    early: bytes

    def exit_code(self, wait_s: float = _STATUS_S) -> int | None:
        """Its exit status; ``None`` when it has none within the time.

        Raises:
            SandboxLostError: the container is gone.
        """
        until = time.monotonic() + wait_s
        pause_s = 0.002
        while True:
            with told_as():
                state = self.container.engine.api.exec_inspect(self.id)
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"]) & 255
            if time.monotonic() > until:
                return None
            time.sleep(pause_s)
            pause_s = min(0.1, 2 * pause_s)

    def host_pid(self) -> int:
        """Its process id on this host.

        Raises:
            OSError: it has none here, or has ended.
            SandboxLostError: the container is gone.
        """
        with told_as():
            pid = int(self.container.engine.api.exec_inspect(self.id)["Pid"] or 0)
        with open(f"/proc/{pid}/status", "rb") as stream:
            for line in stream:
                if line.startswith(b"NSpid:") and line.split()[-1] == str(self.pid).encode():
                    return pid
        raise ProcessLookupError(f"no process {pid} that is {self.pid} inside")

    def kill(self) -> None:
        """End it and everything it started; as the last resort, the whole container's processes."""
        control = self.container.control
        try:
            control.kill_all(self.pid, self.since)
        except ControlLostError:
            self.container.restart(control)


def start(container: Container, program: Program, pipes: Pipes | None = None) -> Exec:
    """Start a process and wait until it began.

    Args:
        container: where.
        program: what.
        pipes: take the place of the engine's stream, when it could begin with them.

    Raises:
        SandboxLostError: the container is gone.
    """
    if container.dormant:
        return Exec(container, "", None, 0, 0, b"there is no /bin/bash in this image\n")
    api = container.engine.api
    nonce = secrets.token_hex(8)
    since = container.control.ticks()
    try:
        with told_as():
            made = api.exec_create(
                container.id,
                program.wrapped(nonce, pipes.inside if pipes else ("", "")),
                stdin=True,
                user="0:0" if program.user == "root" else program.user,  # works without /etc/passwd
                environment=container.no_environ,
            )
            stream = start_exec(api, made["Id"])
    except SandboxLostError as error:
        cause = error.__cause__
        if isinstance(cause, docker.errors.APIError) and container.is_running():
            return Exec(container, "", None, 0, since, f"{cause.explanation}\n".encode())
        raise
    if pipes is not None:
        early, pid = _begun(_Watched(pipes, stream), nonce)
    else:
        early, pid = _begun(stream, nonce)
    return Exec(container, made["Id"], stream, pid, since, early)


def run(
    container: Container, program: Program, *, timeout_s: float, stdin: bytes, output_bytes: int
) -> ExecResult:
    """Run one command to its end or its deadline.

    Args:
        container: where.
        program: what.
        timeout_s: the deadline.
        stdin: fed to it, then closed.
        output_bytes: how much of its output is kept.

    Raises:
        SandboxLostError: the container is gone.
    """
    process = start(container, program)
    deadline = time.monotonic() + timeout_s  # the time that the engine takes is not the command's
    output = CappedOutput(output_bytes)
    output.feed(process.early)
    try:
        if not process.pid or process.stream is None:
            return _not_begun(process, output)
        ended = _pump(process.stream, memoryview(stdin), output, deadline)
        code = process.exit_code(max(_LATE_S, deadline - time.monotonic())) if ended else None
        if code is None:
            process.kill()
            _drain(process.stream, output)
        elif code in (129, 137, 143, 255):  # so an exec ends, too, when its container dies
            container.check_running()
    finally:
        if process.stream is not None:
            process.stream.close()
    kept, n_dropped = output.result()
    return ExecResult(code, kept, n_dropped)


class _Watched:
    """Reads pipes until the engine's stream says that nobody will write to them."""

    def __init__(self, pipes: Pipes, stream: Stream) -> None:
        self._pipes = pipes
        self._stream = stream
        self._until = 0.0

    def recv(self, timeout_s: float) -> bytes | None:
        """Read what comes first: the pipes' output, or the engine's complaint."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if data := self._pipes.recv(0.02):
                return data
            said = self._stream.recv(0.0)
            if said is not None:  # its end, too, when the program lets go of it for the pipes
                self._until = self._until or time.monotonic() + _LATE_S
            if said:
                return said
            if self._until and time.monotonic() > self._until:
                return b""
        return None


def _begun(stream: Stream | _Watched, nonce: str) -> tuple[bytes, int]:
    """Read up to the line that our own code prints; what else came, and the process id."""
    held = bytearray()
    start = nonce.encode() + b" "
    until = time.monotonic() + _BEGIN_S
    while len(held) < _MAX_BEGIN_BYTES:
        data = stream.recv(max(0.0, until - time.monotonic()))
        if not data:
            return bytes(held), 0
        held += data
        before, _, line = bytes(held).partition(start)
        number, end, rest = line.partition(b"\n")
        if end and number.isdigit():
            return before + rest, int(number)
    return bytes(held), 0


def _not_begun(process: Exec, output: CappedOutput) -> ExecResult:
    """Tell why a command could not begin, as a shell would: 126 or 127."""
    process.container.check_running()
    if process.stream is not None:
        _drain(process.stream, output)
    kept, n_dropped = output.result()
    missing = process.container.dormant or b"no such file" in kept or b"not found" in kept
    return ExecResult(127 if missing else 126, kept, n_dropped)


def _pump(stream: Stream, left: memoryview, output: CappedOutput, deadline: float) -> bool:
    """Feed and read until the output ends; whether it did before the deadline."""
    open_input = True
    while True:
        if left:
            stream.wait_writable(max(0.0, deadline - time.monotonic()))
            try:
                left = left[stream.send_some(left) :]
            except OSError:  # it does not read its input: its own business
                left = left[:0]
        if open_input and not left:
            stream.end_input()
            open_input = False
        data = stream.recv(0.0 if left else max(0.0, deadline - time.monotonic()))
        if data:
            output.feed(data)
        elif data is not None:
            return True
        if time.monotonic() > deadline:
            return False


def _drain(stream: Stream, output: CappedOutput) -> None:
    """Read what is still on its way."""
    until = time.monotonic() + _DRAIN_S
    while data := stream.recv(max(0.0, until - time.monotonic())):
        output.feed(data)
        if time.monotonic() > until:
            break

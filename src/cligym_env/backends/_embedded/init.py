"""PID 1 of a sandbox: starts commands, reaps, signals, moves files. No program inside is needed.

It takes orders from the library's process over one socket, and each order brings a socket of its
own for the answers. Answers are short plain text, never ``marshal``: they come out of a sandbox.
When the library's process is gone the socket ends, PID 1 ends, and everything inside with it.
"""

from __future__ import annotations

import _socket
import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Collection
from typing import Any, NamedTuple

from . import crowd, family, files, quota, users, wire
from . import syscalls as sc

_FOR_EVER = 1 << 62
_FSIZE_BYTES = 1 << 30
_N_FILES = 4096
_STRIKE_S = 5.0  # a shell that goes on exceeding for so long is what exceeds
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Running(NamedTuple):
    """A command under way; its socket stays until the other side lets go of it."""

    pid: int
    sock: _socket.socket
    is_shell: bool


class Init:
    """The loop of PID 1.

    Args:
        control: where orders come from.
        limits: of the sandbox.
        upper: descriptor of the folder that takes the sandbox's changes.
        held: the limits that control groups hold.
        lenient: a user namespace with one id: every user is the same.
    """

    def __init__(
        self,
        control: _socket.socket,
        limits: dict[str, float],
        upper: int,
        *,
        held: Collection[str],
        lenient: bool,
    ) -> None:
        self._control = control
        self._limits = limits
        self._lenient = lenient
        self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._quota = quota.Quota(upper, int(limits["disk_bytes"]))
        self._crowd = crowd.Crowd(self._proc, limits, held)
        self._n_strikes = 0
        self._struck_at = 0.0
        self._was_used = False
        self._by_pid: dict[int, Running] = {}
        self._by_socket: dict[int, Running] = {}
        self._helpers: dict[int, int] = {}
        self._poll = select.poll()
        self._wake = -1

    def serve(self) -> None:
        """Work until the other side is gone."""
        self._wake, wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)  # which a PID 1 is not touched by
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll(crowd.PAUSE_MS if self._was_used else -1):
                if descriptor == self._control.fileno():
                    if not self._take_order():
                        return
                elif descriptor == self._wake:
                    os.read(self._wake, 4096)
                    self._reap()
                elif descriptor in self._by_socket:
                    self._listen(self._by_socket[descriptor])
            if self._was_used:
                self._watch()

    # ── orders ──────────────────────────────────────────────────────────────────────────────

    def _take_order(self) -> bool:
        try:
            order, descriptors = wire.recv(self._control)
        except (EOFError, OSError):
            return False
        reply = _socket.socket(fileno=descriptors.pop(0))
        kind = order[0]
        try:
            if kind == "run":
                self._run(order[1], reply, descriptors)
            elif kind == "read":
                files.read(order[1], reply)
            elif kind == "unstage":
                files.unlink(order[1])
            else:
                self._apart(order, reply, descriptors)
        except OSError as error:
            _answer(reply, b"error %d %s" % (error.errno or 0, str(error).encode("utf-8", "replace")))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _apart(self, order: tuple[Any, ...], reply: _socket.socket, descriptors: list[int]) -> None:
        """Do what may take a while in a process of its own."""
        pid = self._fork()
        if pid:
            self._helpers[pid] = pid
            return
        try:
            self._control.close()
            if order[0] == "write":
                files.write(order[1], order[2], descriptors[0])
            else:
                files.put(order[1], order[2], descriptors[0], lenient=self._lenient)
            _answer(reply, b"ok")
        except BaseException as error:  # it goes to the other side as text
            number = getattr(error, "errno", None) or 0
            _answer(reply, b"error %d %s" % (number, str(error).encode("utf-8", "replace")))
        finally:
            os._exit(0)

    def _fork(self) -> int:
        try:
            return os.fork()
        except OSError:
            # No process to be had: what runs here has taken them all. Nothing else helps.
            os.kill(-1, signal.SIGKILL)
            self._reap_all()
            return os.fork()

    # ── commands ────────────────────────────────────────────────────────────────────────────

    def _run(self, request: dict[str, Any], reply: _socket.socket, descriptors: list[int]) -> None:
        user = users.find(request["user"])
        if user is None:
            _answer(
                reply, b"refused no user %s in the sandbox" % request["user"].encode("utf-8", "replace")
            )
            return
        output, stdin = descriptors[0], descriptors[1] if len(descriptors) > 1 else self._null
        if self._lenient:
            user = user._replace(uid=0, gid=0, groups=[])
        if user.uid:
            # Or the user could not open its own /dev/stdout.
            os.fchown(output, user.uid, user.gid)
            if stdin != self._null:
                os.fchown(stdin, user.uid, user.gid)
        self._was_used = True
        pid = self._fork()
        if not pid:
            self._become(request, user, stdin, output)
        running = Running(pid, reply, request["shell"])
        self._by_pid[pid] = running
        self._by_socket[reply.fileno()] = running
        self._poll.register(reply, select.POLLIN)

    def _become(self, request: dict[str, Any], user: users.User, stdin: int, output: int) -> None:
        """Turn this fork into the command; never returns."""
        argv = request["argv"]
        try:
            os.setsid()
            # All others are closed by exec.
            for source, target in ((stdin, 0), (output, 1), (output, 2)):
                os.dup2(source, target)
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            self._limit()
            if not self._lenient:
                os.setgroups(user.groups)
                os.setresgid(user.gid, user.gid, user.gid)
                os.setresuid(user.uid, user.uid, user.uid)
            try:
                os.chdir(request["cwd"])
            except OSError:
                if not request["shell"]:
                    raise
                os.chdir("/")
            environ = request["environ"]
            if environ is None:
                environ = {"PATH": _PATH, "HOME": user.home, "LANG": "C.UTF-8"}
            os.umask(0o022)
            os.execvpe(argv[0], argv, environ)  # noqa: S606 - a shell is no less hostile
        except BaseException as error:  # told where the command's output goes
            os.write(2, f"{argv[0]}: {error}\n".encode("utf-8", "replace"))
            os._exit(127 if isinstance(error, FileNotFoundError) else 126)

    def _limit(self) -> None:
        sc.spare_from_oom(0)
        for what, value in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, _N_FILES),
            (resource.RLIMIT_FSIZE, _FSIZE_BYTES),
        ):
            _, hard = resource.getrlimit(what)
            allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(what, (allowed, allowed))
        if self._crowd.watches:
            crowd.cap_processes(int(self._limits["n_pids"]))

    def _listen(self, running: Running) -> None:
        """An order about a command: ``interrupt``, ``kill`` or ``end``, and the age that is spared."""
        try:
            words = running.sock.recv(256).split()
        except OSError:
            words = []
        if not words:
            self._let_go(running)
            return
        since = int(words[1])
        alive = running.pid in self._by_pid
        if words[0] == b"interrupt" and alive:
            family.interrupt(running.pid, since, self._proc)
        elif words[0] == b"kill" and alive:
            family.kill(running.pid, since, self._proc, spare_leader=True)
        elif words[0] == b"end" and alive:
            family.kill(running.pid, since, self._proc, spare_leader=False)
        self._reap()
        _answer(running.sock, b"done")

    def _let_go(self, running: Running) -> None:
        self._poll.unregister(running.sock)
        del self._by_socket[running.sock.fileno()]
        running.sock.close()
        if running.pid in self._by_pid:
            since = _FOR_EVER if running.is_shell else 0
            family.kill(running.pid, since, self._proc, spare_leader=False)
            self._reap()

    def _watch(self) -> None:
        """Hold the limits no control group holds: end all but shells, and soon these too."""
        crowded, full = self._crowd.exceeded(), self._quota.exceeded()
        if not crowded and not full:
            return
        self._n_strikes = self._n_strikes + 1 if time.monotonic() - self._struck_at < _STRIKE_S else 1
        self._struck_at = time.monotonic()
        shells = {running.pid for running in self._by_pid.values() if running.is_shell}
        if self._n_strikes > 2:
            shells = set()
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGSTOP)  # all at once, so that nothing forks while the rest is killed
        for pid in family.everybody(self._proc):
            if pid not in shells and pid not in self._helpers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGCONT)

    # ── the dead ────────────────────────────────────────────────────────────────────────────

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._buried(pid, status)

    def _reap_all(self) -> None:
        try:
            while True:
                self._buried(*os.waitpid(-1, 0))
        except ChildProcessError:
            pass

    def _buried(self, pid: int, status: int) -> None:
        self._helpers.pop(pid, None)
        if self._quota.buried(pid, status):
            return
        running = self._by_pid.pop(pid, None)
        if running is not None:
            code = os.waitstatus_to_exitcode(status)
            _answer(running.sock, b"exit %d" % (code if code >= 0 else 128 - code))


def _answer(sock: _socket.socket, text: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody may wait for it any more
        wire.send_raw(sock, text[:4096])

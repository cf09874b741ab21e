"""The process that all sandboxes of one back end object are forked from.

It is small, has one thread, and is PID 1 of a namespace of its own: when it ends, by whatever
cause, the kernel ends every sandbox. It ends when its client does, and removes their folders. As
an ordinary user it first enters a user namespace in which it is root.

Started as ``python -I -S -E -c <bootstrap> <folder of these modules>`` with the control socket as
standard input; see ``client``.
"""

from __future__ import annotations

import _socket
import contextlib
import fcntl
import gc
import os
import select
import signal
import time
from typing import Any

from . import box, cgroups, disk, init, tree, wire
from . import syscalls as sc

_LEAVE_S = 5.0  # a control group lets go of its last process a little late
_IDLE_MS = 2  # after which the next sandbox is prepared; not between the orders of one start


def main() -> None:
    """Read the settings, become root of a namespace if need be, and serve."""
    control = _socket.socket(fileno=os.dup(0))
    os.set_inheritable(control.fileno(), False)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    settings, _ = wire.recv(control)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # an interrupt at the terminal is the client's to handle
    client = os.pidfd_open(os.getppid())
    try:
        lenient = _enter_user_namespace() if os.geteuid() else False
        sc.unshare(sc.CLONE_NEWPID)
        pid = os.fork()
    except OSError as error:
        wire.send(control, ("error", str(error)))
        os._exit(1)
    if pid:
        os._exit(0)
    try:
        zygote = Zygote(control, client, settings, lenient=lenient)
    except OSError as error:
        wire.send(control, ("error", str(error)))
        os._exit(1)
    try:
        zygote.serve()
    finally:
        zygote.clear()
        os._exit(0)


def _enter_user_namespace() -> bool:
    """Become root of a new user namespace; whether there is but one id in it."""
    uid, gid, pid = os.geteuid(), os.getegid(), os.getpid()
    inlet, outlet = os.pipe()
    done_in, done_out = os.pipe()
    helper = os.fork()
    if not helper:  # maps the ids from outside
        os.close(outlet)
        os.read(inlet, 1)
        mapped = _map("newuidmap", pid, uid, "/etc/subuid") and _map("newgidmap", pid, gid, "/etc/subgid")
        os.write(done_out, b"y" if mapped else b"n")
        os._exit(0)
    sc.unshare(sc.CLONE_NEWUSER)
    os.write(outlet, b"x")
    mapped = os.read(done_in, 1) == b"y"
    os.waitpid(helper, 0)
    for descriptor in (inlet, outlet, done_in, done_out):
        os.close(descriptor)
    if not mapped:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
                stream.write(text)
    else:
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    return not mapped


def _map(program: str, pid: int, own: int, file: str) -> bool:
    first, size = _range(file)
    if size < 65_535:
        return False
    for folder in ("/usr/bin", "/bin", "/usr/local/bin"):
        path = f"{folder}/{program}"
        if os.access(path, os.X_OK):
            arguments = [program, str(pid), "0", str(own), "1", "1", str(first), "65535"]
            null = (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)
            child = os.posix_spawn(path, arguments, dict(os.environ), file_actions=[null])
            return os.waitpid(child, 0)[1] == 0
    return False


def _range(file: str) -> tuple[int, int]:
    """The first range of subordinate ids of this user, by name or number."""
    names = {str(os.getuid())}
    try:
        with open("/etc/passwd", encoding="utf-8", errors="replace") as stream:
            names |= {line.split(":")[0] for line in stream if line.split(":")[2:3] == [str(os.getuid())]}
        with open(file, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                fields = line.strip().split(":")
                if len(fields) == 3 and fields[0] in names:
                    return int(fields[1]), int(fields[2])
    except (OSError, ValueError):
        pass
    return 0, 0


class Zygote:
    """Forks sandboxes and disk workers on demand, and clears up behind them.

    Args:
        control: where the client's orders come from.
        client: pid descriptor of the client.
        settings: ``store`` (folder), ``owner`` (name of the folder of this zygote's sandboxes).
        lenient: a user namespace with one id.
    """

    def __init__(
        self, control: _socket.socket, client: int, settings: dict[str, Any], *, lenient: bool
    ) -> None:
        self._control = control
        self._client = client
        self._owner = settings["owner"]
        self._root = settings["root"]
        self._lenient = lenient
        self._by_id: dict[str, int] = {}
        self._workers: set[int] = set()
        self._waiting: dict[int, list[_socket.socket]] = {}
        self._groups: set[str] = set()
        self._spare: tuple[int, _socket.socket] | None = None
        os.chdir(settings["store"])
        self._place = f"sandboxes/{self._owner}"
        self._lock = self._take_place()
        self._namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        cgroups.bases()  # looked up once, before the first fork
        gc.collect()
        gc.freeze()
        gc.disable()

    def _take_place(self) -> int:
        """Make this owner's folder, locked for as long as this process lives."""
        with open("sandboxes/.lock", "ab") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            os.mkdir(self._place, 0o711)
            for name in ("", "/dev", "/proc", "/sys"):
                os.mkdir(f"{self._place}/.stage{name}", 0o711)
            lock = os.open(f"{self._place}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(lock, fcntl.LOCK_EX)  # of this kind, because forks do not inherit it
        return lock

    def serve(self) -> None:
        """Work until the client is gone."""
        wake, wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
        poll = select.poll()
        for descriptor in (self._control.fileno(), self._client, wake):
            poll.register(descriptor, select.POLLIN)
        os.dup2(0, 2)  # the client reads complaints up to here
        wire.send(self._control, ("ready", self._lenient, sorted(cgroups.bases())))
        while True:
            ready = poll.poll(-1 if self._spare else _IDLE_MS)
            if not ready:
                self._make_spare()
            for descriptor, _ in ready:
                if descriptor == wake:
                    os.read(wake, 4096)
                    self._reap()
                elif descriptor == self._client or not self._take_order():
                    return

    def _take_order(self) -> bool:
        try:
            order, descriptors = wire.recv(self._control)
        except (EOFError, OSError):
            return False
        sock = _socket.socket(fileno=descriptors.pop(0))
        if order[0] == "start":
            self._start(order[1], sock)
        elif order[0] == "disk":
            self._fork_worker(sock)
        elif order[0] == "end":
            self._end(order[1], sock)
        return True

    def _start(self, config: dict[str, Any], sock: _socket.socket) -> None:
        self._groups.add(config["id"])
        config = {**config, "place": f"{self._place}/{config['id']}", "root": self._root}
        try:
            if config["limits"]["network"]:
                pid, hand = self._fork_box(network=True)
            else:
                pid, hand = self._spare or self._fork_box(network=False)
                self._spare = None
            wire.send(hand, config, (sock.fileno(),))
            hand.close()
        except OSError as error:
            _answer(sock, f"error {error}".encode("utf-8", "replace"))
            return
        self._by_id[config["id"]] = pid

    def _fork_box(self, *, network: bool) -> tuple[int, _socket.socket]:
        """Fork a PID 1 that waits to be told what it is for, over the socket."""
        ours, theirs = wire.pair()
        sc.unshare(sc.CLONE_NEWPID)
        try:
            pid = os.fork()
            if not pid:
                ours.close()
                self._live(theirs, network=network)
        except BaseException:
            ours.close()
            raise
        finally:
            sc.setns(self._namespace, sc.CLONE_NEWPID)
        theirs.close()
        return pid, ours

    def _make_spare(self) -> None:
        """Have the next sandbox half ready; without one, the next start says what is wrong."""
        if self._spare is None:
            with contextlib.suppress(OSError):
                self._spare = self._fork_box(network=False)

    def _live(self, hand: _socket.socket, *, network: bool) -> None:
        """Be PID 1 of a new sandbox; never returns."""
        failure: BaseException | None = None
        try:
            self._forget()
            if self._root:
                sc.spare_from_oom(-1000)
            box.prepare(f"{self._place}/.stage", network=network, root=self._root)
        except BaseException as error:
            failure = error
        try:
            config, descriptors = wire.recv(hand)
        except EOFError:
            os._exit(0)
        hand.close()
        sock = _socket.socket(fileno=descriptors[0])
        try:
            if failure is not None:
                raise failure
            os.mkdir(config["place"], 0o711)
            note = os.open(f"{config['place']}/image", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.write(note, config["lower"][0].split("/")[1].encode())
            os.close(note)
            upper = box.build(config, f"{self._place}/.stage")
            served = init.Init(sock, config["limits"], upper, held=cgroups.bases(), lenient=self._lenient)
            wire.send_raw(sock, b"ready")
            served.serve()
        except BaseException as error:  # told to the client, who raises it
            with contextlib.suppress(OSError):
                wire.send_raw(sock, f"error {error}".encode("utf-8", "replace")[:4096])
        finally:
            os._exit(0)

    def _forget(self) -> None:
        """Let a fork hold nothing that is the zygote's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        if self._spare is not None:
            self._spare[1].close()
        for sockets in self._waiting.values():
            for sock in sockets:
                sock.close()
        for descriptor in (self._client, self._namespace):
            os.close(descriptor)

    def _fork_worker(self, sock: _socket.socket) -> None:
        pid = os.fork()
        if pid:
            self._workers.add(pid)
            return
        try:
            self._forget()
            gc.enable()
            disk.serve(sock, root=self._root, lenient=self._lenient)
        finally:
            os._exit(0)

    def _end(self, name: str, sock: _socket.socket) -> None:
        """End a sandbox; the answer comes when its last process is gone."""
        pid = self._by_id.get(name)
        if pid is None:
            _answer(sock, b"ok")
            return
        self._waiting.setdefault(pid, []).append(sock)
        os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._workers.discard(pid)
            for name in [name for name, known in self._by_id.items() if known == pid]:
                del self._by_id[name]
                self._leave_groups()
            for sock in self._waiting.pop(pid, ()):
                _answer(sock, b"ok")
            if self._spare is not None and self._spare[0] == pid:
                self._spare[1].close()
                self._spare = None

    def _leave_groups(self) -> None:
        for name in self._groups - set(self._by_id):
            if cgroups.leave(name):
                self._groups.discard(name)

    def clear(self) -> None:
        """End everything that is left and remove its folders: the client is gone."""
        try:
            os.kill(-1, signal.SIGKILL)
            while True:
                os.waitpid(-1, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        self._by_id.clear()
        until = time.monotonic() + _LEAVE_S
        self._leave_groups()
        while self._groups and time.monotonic() < until:
            time.sleep(0.01)
            self._leave_groups()
        from . import layers  # noqa: PLC0415 - only now, to keep what all sandboxes share small

        with open("sandboxes/.lock", "ab") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            tree.remove(self._place)
            layers.collect(gone=self._owner)


def _answer(sock: _socket.socket, text: bytes) -> None:
    with contextlib.suppress(OSError):
        wire.send_raw(sock, text)
    sock.close()

r"""Run one program as an ordinary user and report on it: root, ``python -I -S -c``, told by stdin.

The warden owns the nonce and the way out of the sandbox. Its child has three descriptors besides
its standard input: 1 and 2 are for what tests print, 3 is for records. Nothing that the child
prints or forges can look like the warden's own frame, because the child never sees the nonce.

Order on stdin: a Python literal with ``nonce, argv, user, cwd, environ, feed, timeout_s,
log_bytes, record_bytes``. Answer on stdout: one line, ``<nonce> <base64 of zlib> <nonce>``, of
``<exit code or -> <0|1 flooded> <n log bytes>\n<log><records>``.
"""

import binascii
import grp
import os
import pwd
import select
import sys
import time
import zlib

TYPE_CHECKING = False  # the typing module imports half of the library
if TYPE_CHECKING:
    from typing import Any


class suppress:  # noqa: N801 — contextlib is not frozen into the interpreter
    """What ``contextlib.suppress`` does."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        return kind is not None and issubclass(kind, self.kind)


_CHUNK_BYTES = 65536
_KILL = 9


class _Tail:
    """The first and the last bytes of a stream."""

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes // 2
        self.head = b""
        self.tail = b""
        self.n_lost = 0

    def add(self, data: bytes) -> None:
        room = self.n_bytes - len(self.head)
        self.head += data[:room]
        self.tail += data[room:]
        surplus = len(self.tail) - self.n_bytes
        if surplus > 0:
            self.n_lost += surplus
            self.tail = self.tail[surplus:]

    def value(self) -> bytes:
        gap = b"\n[... %d bytes left out ...]\n" % self.n_lost if self.n_lost else b""
        return self.head + gap + self.tail


class _Records:
    """All bytes of a stream, up to a limit."""

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes
        self.parts: list[bytes] = []
        self.flooded = False

    def add(self, data: bytes) -> None:
        self.n_bytes -= len(data)
        if self.n_bytes < 0:
            self.flooded = True
        else:
            self.parts.append(data)


def _become(order: "dict[str, Any]", feed: int, log: int, records: int) -> None:
    """Turn this process into the program; never returns."""
    try:
        os.setsid()
        _write("/proc/self/oom_score_adj", b"1000")  # when memory ends, the program goes first
        for number, descriptor in enumerate((feed, log, log, records)):
            os.dup2(descriptor, number + 100)
        for number in range(4):
            os.dup2(number + 100, number)
        os.closerange(4, 4096)
        if not _is_alone():
            _drop_to(order["user"])
        os.umask(0o022)
        os.chdir(order["cwd"])
        os.execve(order["argv"][0], order["argv"], order["environ"])  # noqa: S606
    except BaseException as error:
        os.write(2, f"cannot start the suite: {error!r}\n".encode())
    os._exit(127)


def _drop_to(name: str) -> None:
    user = pwd.getpwnam(name)
    groups = [group.gr_gid for group in grp.getgrall() if user.pw_name in group.gr_mem]
    os.setgroups([*groups, user.pw_gid])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _is_alone() -> bool:
    """Whether this user namespace holds one id only, so that there is no other user to become."""
    try:
        with open("/proc/self/uid_map", "rb") as stream:
            return [line.split()[2] for line in stream] == [b"1"]
    except OSError:
        return False


def _write(path: str, data: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:
        return
    with suppress(OSError):
        os.write(descriptor, data)
    os.close(descriptor)


def _drain(descriptor: int, sink: "Any") -> bool:
    """Read what is there; whether more may come."""
    while True:
        try:
            data = os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        sink.add(data)
        if len(data) < _CHUNK_BYTES:
            return True


def _watch(child: int, sinks: "dict[int, Any]", deadline: float) -> str:
    """Read until the child ends or the deadline passes; the exit code, ``-`` for none."""
    end = os.pidfd_open(child)
    poll = select.poll()
    for descriptor in (end, *sinks):
        poll.register(descriptor, select.POLLIN)
    ended = False
    while not ended:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        for descriptor, _ in poll.poll(min(left_s, 60.0) * 1000):
            if descriptor == end:
                ended = True
            elif not _drain(descriptor, sinks[descriptor]):
                poll.unregister(descriptor)
    _signal_group(child)
    _, status = os.waitpid(child, 0)
    for descriptor, sink in sinks.items():
        for _ in range(64):  # what a stray keeps writing is no longer waited for
            if not select.select([descriptor], [], [], 0)[0] or not _drain(descriptor, sink):
                break
    return str(os.waitstatus_to_exitcode(status)) if ended else "-"


def _signal_group(child: int) -> None:
    for send in (os.killpg, os.kill):  # the group once the child has made it
        with suppress(OSError):
            send(child, _KILL)


def _main() -> None:
    order: dict[str, Any] = eval(sys.stdin.buffer.read(), {"__builtins__": {}})  # noqa: S307
    deadline = time.monotonic() + order["timeout_s"]
    feed = os.memfd_create("order")
    os.write(feed, order["feed"])
    os.lseek(feed, 0, os.SEEK_SET)
    log_out, log_in = os.pipe()
    records_out, records_in = os.pipe()
    child = os.fork()
    if not child:
        _become(order, feed, log_in, records_in)
    for descriptor in (feed, log_in, records_in):
        os.close(descriptor)
    log, records = _Tail(order["log_bytes"]), _Records(order["record_bytes"])
    for descriptor in (log_out, records_out):
        os.set_blocking(descriptor, False)
    code = _watch(child, {log_out: log, records_out: records}, deadline)
    printed = log.value()
    head = f"{code} {records.flooded:d} {len(printed)}\n".encode()
    body = binascii.b2a_base64(zlib.compress(head + printed + b"".join(records.parts)), newline=False)
    nonce = order["nonce"].encode()
    sys.stdout.buffer.write(nonce + b" " + body + b" " + nonce + b"\n")
    sys.stdout.buffer.flush()
    os._exit(0)


if __name__ == "__main__":
    _main()

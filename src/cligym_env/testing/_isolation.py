"""Checks of what a sandbox keeps apart from the host, and of what it still offers inside."""

from __future__ import annotations

import os
import socket
import subprocess
from functools import partial

from cligym_env.testing._bench import LONG_S, Bench, collect, nonce, ok, returned, running, same

__all__ = ["CHECKS"]

_SYS_ADMIN, _SYS_MODULE, _NET_ADMIN, _SYS_PTRACE, _MKNOD, _SYS_TIME = 21, 16, 12, 19, 27, 25


def no_network(bench: Bench) -> None:
    """There is no interface but the loopback, and nothing outside can be reached."""
    sandbox = bench.start()
    found = sandbox.exec("tail -n +3 /proc/net/dev | cut -d: -f1", timeout_s=LONG_S).text.split()
    # Kernels with tunnel modules show their fallback devices, which lead nowhere, in every namespace.
    same(
        [name for name in found if name.startswith(("eth", "en", "wl", "veth", "docker", "br"))],
        [],
        "interfaces",
    )
    for place in ("192.0.2.1/53", "8.8.8.8/53"):
        result = returned(partial(sandbox.exec, f"exec 3<>/dev/tcp/{place}", timeout_s=LONG_S), LONG_S)
        same(result.exit_code, 1, f"exit code of a connection to {place}")


def no_network_to_the_host(bench: Bench) -> None:
    """A server on the host's loopback, by port or by an abstract name, is not reached."""
    name = f"\0cligym-{os.getpid()}-{id(bench)}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(name)
        unix.listen()
        sandbox = bench.start()
        port = server.getsockname()[1]
        same(sandbox.exec(f"exec 3<>/dev/tcp/127.0.0.1/{port}", timeout_s=LONG_S).exit_code, 1, "by port")
        script = (
            "use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); "
            f'exit(connect(S, pack_sockaddr_un("\\0{name[1:]}")) ? 0 : 1)'
        )
        same(sandbox.exec(["perl", "-e", script], timeout_s=LONG_S).exit_code, 1, "by abstract name")


def loopback(bench: Bench) -> None:
    """A server and a client inside the sandbox meet on the loopback."""
    script = (
        "use IO::Socket::INET; $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die; "
        'if (!fork) { $c = $s->accept; print $c "hello\\n"; exit } '
        "$c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->sockport) or die; "
        "print <$c>; wait"
    )
    sandbox = bench.start()
    ok(sandbox.exec(["perl", "-e", script], timeout_s=LONG_S), "hello\n")
    ok(sandbox.exec(["perl", "-e", script], timeout_s=LONG_S, user="nobody"), "hello\n")


def no_privileges(bench: Bench) -> None:
    """Root inside has none of the capabilities that reach the machine, and cannot mount."""
    sandbox = bench.start()
    status = sandbox.exec(["cat", "/proc/self/status"], timeout_s=LONG_S).text
    words = {line.split(":")[0]: line.split()[-1] for line in status.splitlines() if line.startswith("Cap")}
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        held = int(words[kind], 16)
        reach = [
            n
            for n in (_SYS_ADMIN, _SYS_MODULE, _NET_ADMIN, _SYS_PTRACE, _MKNOD, _SYS_TIME)
            if held >> n & 1
        ]
        same(reach, [], f"capabilities in {kind}")
    for command in ("mount -t tmpfs none /mnt", "mknod /srv/null c 1 3", "echo 1 > /proc/sys/kernel/panic"):
        same(
            sandbox.exec(f"{command} 2>/dev/null", timeout_s=LONG_S).exit_code == 0,
            False,
            f"success of {command}",
        )


def no_processes_of_the_host(bench: Bench) -> None:
    """The process table holds only what runs inside."""
    sandbox, mark = bench.start(), nonce()
    with subprocess.Popen(["sleep", mark]) as ours:
        try:
            same(mark in running(sandbox), False, "a process of the host seen")
            found = sandbox.exec("echo /proc/[0-9]*", timeout_s=LONG_S).text.split()
            same(len(found) < 12, True, f"fewer than 12 processes ({len(found)})")
        finally:
            ours.kill()


def no_signals_to_the_host(bench: Bench) -> None:
    """``kill -9 -1`` inside ends nothing outside: not us, not other sandboxes."""
    sandbox, other = bench.start(), bench.start()
    shell = other.shell()
    shell.run("x=1", timeout_s=LONG_S)
    sandbox.exec("kill -9 -1", timeout_s=LONG_S)
    ok(shell.run("echo $x", timeout_s=LONG_S), "1\n")


def ordinary_work(bench: Bench) -> None:
    """What repairs need works for root: other owners, modes, users, links, locks, temporary files."""
    sandbox = bench.start()
    for command, output in (
        ("touch /srv/f; chown 1234:2345 /srv/f; stat -c '%u %g' /srv/f", "1234 2345\n"),
        ("su nobody -s /bin/bash -c 'id -u; touch /tmp/mine; stat -c %u /tmp/mine'", "65534\n65534\n"),
        ("install -m 4755 /usr/bin/id /srv/id; stat -c %a /srv/id", "4755\n"),
        ("echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c", "3\n3\n"),
        ("echo x > /dev/shm/f; cat /dev/shm/f", "x\n"),
        ("cat <(echo substituted)", "substituted\n"),
        ("echo to-stdout > /dev/stdout; echo to-fd > /dev/fd/1", "to-stdout\nto-fd\n"),
        ("mktemp -p /tmp x.XXX >/dev/null && stat -c %a /tmp", "1777\n"),
        ("flock /srv/lock echo locked", "locked\n"),
        ("perl -MPOSIX -e 'setsid or exit 1 if fork == 0; wait; print \"ok\\n\"' | tail -n1", "ok\n"),
    ):
        ok(sandbox.exec(command, timeout_s=LONG_S), output)


def no_trace_of_the_host(bench: Bench) -> None:
    """Neither environment nor mounts nor open descriptors lead back to the host."""
    sandbox = bench.start()
    shell = sandbox.shell()
    home = os.path.expanduser("~")
    found = shell.run("cat /proc/self/mountinfo | cut -d' ' -f5; env", timeout_s=LONG_S).text
    same(
        [line for line in found.splitlines() if home != "/root" and home in line], [], "mounts of the home"
    )
    links = shell.run("readlink /proc/$$/fd/* /proc/$$/cwd /proc/$$/root", timeout_s=LONG_S).text
    odd = [
        line
        for line in links.splitlines()
        if line.startswith("/") and os.path.exists(line) and line not in _USUAL
    ]
    same(odd, [], "descriptors of the shell that name files of the host")


_USUAL = {"/", "/dev/null"}

CHECKS = collect(dict(globals()))

"""The walls of one sandbox: what its PID 1 does before anything else may run in it."""

from __future__ import annotations

import _socket
import contextlib
import fcntl
import os
import stat
import struct
from typing import Any

from . import cgroups, seccomp
from . import syscalls as sc

STAGE = "/dev/.cligym"
"""Where files for one command lie: memory, never part of the sandbox's disk."""

# CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT SETFCAP
_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 10, 18, 31)
_DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/scsi",
    "/proc/sched_debug",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
    "/sys/fs/cgroup",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_FILTER = seccomp.program()
_STRICT = sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC


def prepare(stage: str, *, network: bool, root: bool) -> None:
    """Do all that is the same for every sandbox: this process is PID 1 of one that is not asked for yet.

    It leaves the host's namespaces, lays the kernel's views out on a stage that only it can see,
    and gives up what building no longer needs.

    Args:
        stage: a folder with empty folders ``dev``, ``proc`` and ``sys``.
        network: keep the host's network.
        root: whether this is the host's root.
    """
    sc.unshare(sc.CLONE_NEWNS | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS | (0 if network else sc.CLONE_NEWNET))
    sc.mount("", "/", "", sc.MS_REC | sc.MS_PRIVATE)
    if not network:
        _loopback_up()
    _mount_dev(f"{stage}/dev", root)
    sc.mount("proc", f"{stage}/proc", "proc", _STRICT)
    with contextlib.suppress(OSError):  # needs a network namespace of one's own
        sc.mount("sysfs", f"{stage}/sys", "sysfs", _STRICT | sc.MS_RDONLY)
    _protect(stage)
    sc.no_new_privileges()
    sc.bound_capabilities(_CAPABILITIES)
    if _FILTER is not None:
        with contextlib.suppress(OSError):  # a kernel without filters: the other walls stand
            sc.install_filter(_FILTER)


def build(config: dict[str, Any], stage: str) -> int:
    """Build one machine around this process, which is prepared, and go in for good.

    The working directory is the store. What is mounted here is seen by nobody else, and goes when
    the last process of the sandbox goes.

    Args:
        config: ``id``, ``host`` (its name), ``place`` (the sandbox's folder), ``lower`` (layer
            folders, top first), ``limits``, ``root`` (whether this is the host's root).
        stage: as it was prepared.

    Returns:
        A descriptor of the folder that takes the sandbox's changes.
    """
    cgroups.enter(config["id"], config["limits"])
    sc.sethostname(config["host"])
    upper = _mount_root(config)
    root = f"{config['place']}/root"
    for name in ("dev", "proc", "sys"):
        _folder(f"{root}/{name}")
    sc.mount(f"{stage}/dev", f"{root}/dev", "", sc.MS_MOVE)
    sc.mount(f"{stage}/proc", f"{root}/proc", "", sc.MS_MOVE)
    with contextlib.suppress(OSError):  # it may not have been mounted
        sc.mount(f"{stage}/sys", f"{root}/sys", "", sc.MS_MOVE)
    os.chdir(root)
    _mount_names(config["host"], bool(config["limits"]["network"]))
    sc.pivot_root_here()
    sc.keep_capabilities(_CAPABILITIES)
    sc.hide_memory()
    return upper


def _loopback_up() -> None:
    with _socket_closing() as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, 0x8913, request))[1]
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))


class _socket_closing:  # noqa: N801 - a context manager, written like a function
    def __enter__(self) -> int:
        self._sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        return self._sock.fileno()

    def __exit__(self, *_: object) -> None:
        self._sock.close()


def _mount_root(config: dict[str, Any]) -> int:
    place, lower = config["place"], config["lower"]
    for name in ("upper", "work", "root"):
        os.mkdir(f"{place}/{name}")
    top = os.stat(lower[0])  # the root folder's own mode and owner come from the upper one
    os.chown(f"{place}/upper", top.st_uid, top.st_gid)
    os.chmod(f"{place}/upper", stat.S_IMODE(top.st_mode))
    options = f"lowerdir={':'.join(lower)},upperdir={place}/upper,workdir={place}/work,volatile"
    if config["root"]:
        # What a rename of a folder changes must be readable without the kernel's help.
        options += ",redirect_dir=off,metacopy=off,index=off,xino=off"
    else:
        options += ",userxattr"
    sc.mount("overlay", f"{place}/root", "overlay", sc.MS_NODEV, options)
    return os.open(f"{place}/upper", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _folder(name: str) -> None:
    """Have a folder to mount on, and no link that leads elsewhere."""
    try:
        if stat.S_ISDIR(os.lstat(name).st_mode):
            return
        os.unlink(name)
    except FileNotFoundError:
        pass
    os.mkdir(name, 0o755)


def _mount_dev(dev: str, root: bool) -> None:
    # Nobody outside can see this instance, so device nodes on it are safe.
    sc.mount("tmpfs", dev, "tmpfs", sc.MS_NOSUID | sc.MS_NOEXEC, "size=65536k,mode=755")
    for name, minor in _DEVICES.items():
        _device(dev, name, os.makedev(1, minor), root)
    _device(dev, "tty", os.makedev(5, 0), root)
    for name, target in _LINKS.items():
        os.symlink(target, f"{dev}/{name}")
    os.mkdir(f"{dev}/shm")
    os.mkdir(f"{dev}/pts")
    os.mkdir(dev + STAGE.removeprefix("/dev"), 0o755)
    sc.mount("shm", f"{dev}/shm", "tmpfs", _STRICT, "size=65536k,mode=1777")
    options = "newinstance,ptmxmode=0666,mode=0620"
    try:
        sc.mount("devpts", f"{dev}/pts", "devpts", sc.MS_NOSUID | sc.MS_NOEXEC, options + ",gid=5")
    except OSError:  # a user namespace in which group tty is nobody
        sc.mount("devpts", f"{dev}/pts", "devpts", sc.MS_NOSUID | sc.MS_NOEXEC, options)


def _device(dev: str, name: str, number: int, root: bool) -> None:
    path = f"{dev}/{name}"
    if root:
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, number)
            os.chmod(path, 0o666)  # noqa: S103 - as everywhere
            return
        except PermissionError:  # root of a container
            pass
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    sc.mount(f"/dev/{name}", path, "", sc.MS_BIND)


def _mount_names(host: str, network: bool) -> None:
    """Give the sandbox its own names, outside its disk, as docker does."""
    hosts = f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{host}\n"
    resolv = ""
    if network:
        hosts, resolv = _text("/etc/hosts") or hosts, _text("/etc/resolv.conf")
    for name, text in (("hosts", hosts), ("hostname", host + "\n"), ("resolv.conf", resolv)):
        target = f"etc/{name}"
        try:
            if not stat.S_ISREG(os.lstat(target).st_mode) or not stat.S_ISDIR(os.lstat("etc").st_mode):
                continue
        except OSError:
            continue
        source = f"dev{STAGE.removeprefix('/dev')}/{name}"
        with open(source, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
        os.chmod(source, 0o644)
        sc.mount(source, target, "", sc.MS_BIND)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""


def _protect(stage: str) -> None:
    """Cover what of the kernel's views shows the host, and write-protect what steers it."""
    for name in _MASKED:
        path = stage + name
        with contextlib.suppress(OSError):
            if os.path.isdir(path):
                sc.mount("tmpfs", path, "tmpfs", sc.MS_RDONLY | _STRICT, "size=0k")
            elif os.path.lexists(path):
                sc.mount(f"{stage}/dev/null", path, "", sc.MS_BIND)
    for name in _READ_ONLY:
        path = stage + name
        if os.path.exists(path):
            sc.mount(path, path, "", sc.MS_BIND | sc.MS_REC)
            sc.mount("", path, "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | _STRICT)

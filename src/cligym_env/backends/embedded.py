"""Sandboxes of Linux namespaces, with no engine and no daemon.

A sandbox is a PID 1 of ours in user (as an ordinary user), mount, pid, network, ipc and uts
namespaces, over an overlay that is mounted in its own mount namespace and nowhere else.

==========================  ====================================================================
Isolated                    How
==========================  ====================================================================
file system                 ``pivot_root`` into an overlay; nothing of the host is mounted
processes                   own pid namespace; a PID 1 no signal and no ``rm -rf /`` ends
network                     own namespace with nothing but loopback, unless ``Limits.network``
ipc, host name              own namespaces
kernel                      ten capabilities, no new privileges, a seccomp filter (key rings, bpf,
                            perf events, io_uring, new namespaces); ``/proc/sys`` read-only
memory, processes, cpu      control groups, where this process may make them (as root; the property
                            ``controllers`` says which); else memory and processes are counted
                            every quarter of a second, and cpu is not limited
disk                        counted every quarter of a second; overshoots by what fits in there
files of one process        1 GiB each, 4,096 open, no core
the host after a crash      everything ends with its client, by the kernel's doing
==========================  ====================================================================

==========================  ====================================================================
Not isolated                Consequence
==========================  ====================================================================
the kernel itself           a hole in it is a way out; use a virtual machine for hostile code
user ids, as root           root inside is the host's root without its powers (as in docker)
user ids, without subuid    one id only: every user inside is the same, owners are not kept
limits, as ordinary user    a burst shorter than a quarter of a second is not held
time                        the host's clock, read-only
what the kernel tells       ``/proc/meminfo``, ``/proc/cpuinfo``, ``uname`` show the host
==========================  ====================================================================
"""

from __future__ import annotations

import os
import platform
import shutil
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from cligym_env import files
from cligym_env.backends._embedded.client import Zygote
from cligym_env.backends._embedded.machine import EmbeddedSandbox
from cligym_env.backends._embedded.store import NAME, Store
from cligym_env.core import Image, Limits
from cligym_env.errors import ImageError, SandboxError

__all__ = ["EmbeddedBackend", "create"]


class EmbeddedBackend:
    """Starts sandboxes from the store under the home; threads may share one object.

    Args:
        home: folder of the store; ``embedded`` under the library's home when left out.
    """

    name = NAME

    def __init__(self, home: Path | None = None) -> None:
        self.store = Store((home or files.home() / NAME).absolute())
        self._lock = threading.Lock()
        self._zygote: Zygote | None = None
        self._sandboxes: weakref.WeakSet[EmbeddedSandbox] = weakref.WeakSet()
        self._finalizer: weakref.finalize[[Zygote], EmbeddedBackend] | None = None

    # ── what it needs ───────────────────────────────────────────────────────────────────────

    def problems(self) -> Sequence[str]:
        """Why it does not work here, each with the way out; empty when it works."""
        if platform.system() != "Linux":
            return (f"needs Linux, this is {platform.system()}: use a Linux virtual machine",)
        try:
            self._get_zygote()
            self._probe()
        except SandboxError as error:
            return (f"{error}{_way_out()}",)
        return ()

    def _probe(self) -> None:
        """Start a sandbox of an almost empty image, and look whether its root can be mounted."""
        zygote = self._get_zygote()
        image = self.find("cligym/probe")
        if image is None:
            image = self.store.probe(zygote)
            self.tag(image, "cligym/probe")
        EmbeddedSandbox(zygote, self.store, image, Limits()).close()

    @property
    def controllers(self) -> Sequence[str]:
        """Which limits control groups hold here: of ``memory``, ``pids``, ``cpu``."""
        return self._get_zygote().controllers

    @property
    def single_id(self) -> bool:
        """Whether all users inside are one: an ordinary user without subordinate ids."""
        return self._get_zygote().single_id

    @property
    def not_conforming(self) -> Mapping[str, str]:
        """Checks of ``cligym_env.testing`` it cannot pass here, each with the reason."""
        if "pids" in self.controllers:
            return {}
        return {"limit_of_processes": "without control groups they are counted four times a second"}

    def _get_zygote(self) -> Zygote:
        with self._lock:
            if self._zygote is not None and self._zygote.pid == os.getpid() and self._zygote.alive():
                return self._zygote
            lost, zygote = self._zygote, Zygote(self.store.root)
            if lost is not None and lost.pid == os.getpid():
                lost.close()
                self.store.sweep(zygote)  # what the killed one left
            if self._finalizer is not None:
                self._finalizer.detach()
            self._zygote = zygote
            self._finalizer = weakref.finalize(self, Zygote.close, zygote)
            return zygote

    # ── core.Backend ────────────────────────────────────────────────────────────────────────

    def start(self, image: Image, limits: Limits | None = None) -> EmbeddedSandbox:
        """Start one sandbox; see ``core.Backend.start``."""
        self.store.lower(image)
        sandbox = EmbeddedSandbox(self._get_zygote(), self.store, image, limits or Limits())
        self._sandboxes.add(sandbox)
        return sandbox

    def load(self, archive: Path, name: str) -> Image:
        """Take a root file system from a tar into the store, under a name.

        Raises:
            ImageError: the file is missing, or no such tar.
        """
        if not archive.is_file():
            raise ImageError(f"no such archive: {archive}")
        image = self.store.unpack(self._get_zygote(), archive)
        self.tag(image, name)
        return image

    def find(self, name: str) -> Image | None:
        """The image of that name, if it is in the store."""
        return self.store.find(name)

    def tag(self, image: Image, name: str) -> None:
        """Give an image a name, taking it from another one if need be."""
        self.store.tag(image, name)

    def sweep(self) -> int:
        """Remove what dead owners left; the number of sandboxes removed."""
        return self.store.sweep(self._get_zygote())

    def close(self) -> None:
        """Close every sandbox this object started, and the zygote; harmless twice."""
        with self._lock:
            zygote, self._zygote = self._zygote, None
        if zygote is None:
            return
        if zygote.pid == os.getpid():
            for sandbox in list(self._sandboxes):
                sandbox.close()
        self.store.forget_worker()
        if self._finalizer is not None:
            self._finalizer()


def _way_out() -> str:
    if os.geteuid() == 0:
        return " (in a container, this needs --privileged, or seccomp and AppArmor unconfined)"
    hints = []
    for path, wanted, command in (
        ("/proc/sys/kernel/unprivileged_userns_clone", "1", "kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "0",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ):
        try:
            if Path(path).read_text().strip() != wanted:
                hints.append(f"sysctl -w {command}")
        except OSError:
            continue
    if not shutil.which("newuidmap"):
        hints.append("apt-get install uidmap")
    return f" (try: {'; '.join(hints)})" if hints else " (or run as root)"


def create(home: Path | None = None) -> EmbeddedBackend:
    """Make the back end; nothing is started yet."""
    return EmbeddedBackend(home)

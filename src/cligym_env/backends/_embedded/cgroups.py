"""Limits of a whole sandbox, where this process may make control groups; versions 1 and 2."""

from __future__ import annotations

import os

PREFIX = "cligym-"
_ROOT = "/sys/fs/cgroup"
_CONTROLLERS = ("memory", "pids", "cpu")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _own() -> dict[str, str]:
    """Controller → folder of the group this process is in; ``""`` stands for version 2."""
    found = {}
    with open("/proc/self/cgroup", encoding="utf-8") as stream:
        for line in stream:
            number, names, place = line.rstrip("\n").split(":", 2)
            if number == "0":
                found[""] = place
            for name in names.split(","):
                if name in _CONTROLLERS:
                    found[name] = place
    return found


def _bases() -> dict[str, str]:
    """Controller → folder in which groups can be made now."""
    bases: dict[str, str] = {}
    for name, place in _own().items():
        if name:
            folder = f"{_ROOT}/{name}{place}".rstrip("/")
            names = {name}
        else:
            # Version 2 lets only a group without processes of its own share out, or the very root.
            folder = _ROOT
            try:
                with open(f"{folder}/cgroup.subtree_control", encoding="ascii") as stream:
                    names = set(stream.read().split()) & set(_CONTROLLERS)
            except OSError:
                continue
        for controller in names:
            if os.access(folder, os.W_OK):
                bases.setdefault(controller, folder)
    return bases


_bases_cache: dict[str, str] | None = None


def bases() -> dict[str, str]:
    """Controller → parent folder; asked once per process, and inherited by forks."""
    global _bases_cache  # noqa: PLW0603 - one look per zygote, not one per sandbox
    if _bases_cache is None:
        try:
            _bases_cache = _bases()
        except OSError:
            _bases_cache = {}
    return _bases_cache


def _settings(controller: str, version: int, limits: dict[str, float]) -> list[tuple[str, str]]:
    memory, n_pids, n_cpus = int(limits["memory_bytes"]), int(limits["n_pids"]), limits["n_cpus"]
    if controller == "pids":
        return [("pids.max", str(n_pids + 1))]  # PID 1 is ours
    if controller == "cpu":
        quota = str(max(1_000, int(n_cpus * 100_000)))
        if version == 2:
            return [("cpu.max", f"{quota} 100000")]
        return [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", quota)]
    if version == 2:
        return [("memory.max", str(memory)), ("memory.swap.max", "0")]
    return [("memory.limit_in_bytes", str(memory)), ("memory.memsw.limit_in_bytes", str(memory))]


def enter(name: str, limits: dict[str, float]) -> None:
    """Make this process's group, with limits, in every controller that can be had, and go in."""
    entered = set()
    for controller, base in bases().items():
        group = f"{base}/{PREFIX}{name}"
        version = 2 if base == _ROOT else 1
        try:
            try:
                os.mkdir(group)
            except FileExistsError:
                if version == 1:
                    raise
            for file, text in _settings(controller, version, limits):
                try:
                    _write(f"{group}/{file}", text)
                except OSError:
                    if "sw" not in file:  # swap is accounted on some kernels only
                        raise
            if group not in entered:
                # Moving only oneself by `tasks` spares a grace period of the kernel, some 10 ms.
                _write(f"{group}/{'tasks' if version == 1 else 'cgroup.procs'}", "0")
                entered.add(group)
        except OSError:
            leave(name)


def leave(name: str) -> bool:
    """Remove the groups of a sandbox in which nothing runs any more; whether none is left."""
    gone = True
    for base in set(bases().values()):
        try:
            os.rmdir(f"{base}/{PREFIX}{name}")
        except FileNotFoundError:
            pass
        except OSError:
            gone = False
    return gone


def leave_all(owner: str) -> None:
    """Remove the groups a dead owner left; names begin with the owner's."""
    for base in set(bases().values()):
        try:
            names = os.listdir(base)
        except OSError:
            continue
        for name in names:
            if name.startswith(f"{PREFIX}{owner}"):
                leave(name.removeprefix(PREFIX))

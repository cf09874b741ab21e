"""Processes of a sandbox, found in its ``/proc``, and signals that reach all of them at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import NamedTuple

_CALM_S = 0.5  # a process that runs stops within microseconds; not one that waits for disk or processor
_HOLD_S = 15.0  # for all rounds together: a bomb of forks takes some, and on a busy machine long ones
_GONE_S = 0.5
_ROUNDS = 50  # of looking for new ones while a family forks


class Process(NamedTuple):
    """One line of ``/proc/<pid>/stat``."""

    pid: int
    state: str
    parent: int
    session: int
    start_ticks: int


def read_small(path: str, folder: int) -> bytes:
    """The beginning of a file of the kernel."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def _process(pid: str, proc: int) -> Process | None:
    try:
        text = read_small(f"{pid}/stat", proc)
        fields = text[text.rindex(b")") + 2 :].split()
    except (OSError, ValueError):
        return None
    return Process(int(pid), fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


def everybody(proc: int) -> dict[int, Process]:
    """All processes but this one's own threads of the kernel and PID 1.

    Args:
        proc: descriptor of the sandbox's ``/proc``.
    """
    found = (_process(name, proc) for name in os.listdir(proc) if name.isdigit() and name != "1")
    return {process.pid: process for process in found if process is not None}


def _members(leader: int, since_ticks: int, proc: int) -> set[int]:
    """The leader, and what descends from it or shares its session and is not older than this."""
    all_of_them = everybody(proc)
    family = {leader} & set(all_of_them)
    grown = True
    below = {leader}
    while grown:
        more = {p.pid for p in all_of_them.values() if p.parent in below or p.session == leader} - below
        grown = bool(more)
        below |= more
    family |= {pid for pid in below if pid in all_of_them and all_of_them[pid].start_ticks >= since_ticks}
    return {pid for pid in family if all_of_them[pid].state not in "ZX"}


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _wait(pids: set[int], states: str, limit_s: float, proc: int) -> None:
    until = time.monotonic() + limit_s
    while pids and time.monotonic() < until:
        waiting = set()
        for pid in pids:
            process = _process(str(pid), proc)
            if process is not None and process.state not in states:
                waiting.add(pid)
        pids = waiting
        if pids:
            time.sleep(0.001)


def hold(leader: int, since_ticks: int, proc: int) -> set[int]:
    """Stop a family, also one that forks; the processes in it."""
    held: set[int] = set()
    until = time.monotonic() + _HOLD_S
    for _ in range(_ROUNDS):
        new = _members(leader, since_ticks, proc) - held
        if not new:
            break
        for pid in new:
            _send(pid, signal.SIGSTOP)
        _wait(new, "TtZX", min(_CALM_S, until - time.monotonic()), proc)
        held |= new
    return held


def interrupt(leader: int, since_ticks: int, proc: int) -> None:
    """SIGINT to a whole family; none of them runs on before all have it.

    A shell that saw its child die of one, and had none itself, would run the next command.
    """
    held = hold(leader, since_ticks, proc)
    for pid in held:
        _send(pid, signal.SIGINT)
    for pid in sorted(held, reverse=True):
        _send(pid, signal.SIGCONT)


def kill(leader: int, since_ticks: int, proc: int, *, spare_leader: bool) -> None:
    """SIGKILL to a whole family at once; to a spared leader SIGINT. Waits until they are gone."""
    held = hold(leader, since_ticks, proc)
    if spare_leader:
        _send(leader, signal.SIGINT)
    for pid in held - ({leader} if spare_leader else set()):
        _send(pid, signal.SIGKILL)
    if spare_leader:
        _wait(held - {leader}, "ZX", _GONE_S, proc)
        _send(leader, signal.SIGCONT)
    else:
        _wait(held, "ZX", _GONE_S, proc)

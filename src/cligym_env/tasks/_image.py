"""From a gold's image to a task's: start, replay the commands in one root shell, seal, commit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cligym_env import environ, files
from cligym_env import gold as golds
from cligym_env.core import (
    Backend,
    Entry,
    ExecResult,
    Gold,
    Image,
    Limits,
    PathState,
    Sandbox,
    Snapshot,
    Task,
)
from cligym_env.errors import ImageError, RejectedError
from cligym_env.tasks._seal import seal

__all__ = ["Replay", "commit", "image", "is_derived", "is_inert", "replay", "same", "states"]

COMMAND_TIMEOUT_S = 180.0
MAX_CHANGED = 2_000

# What tools leave on their way and no test reads: neither the cause of a failure nor its repair.
_INERT = re.compile(
    r"/(var/log|var/cache|root/\.cache|home/[^/]+/\.cache|root/\.config/pip|var/lib/dpkg/lock)(/|$)"
    r"|/var/lib/dpkg/(lock|lock-frontend|triggers/Lock)$"
    r"|/\.dockerenv$|/(dev|proc|sys)$|/etc/(hosts|hostname|resolv\.conf|mtab)$"
)
_BYTECODE = re.compile(r"(?P<folder>.*)/__pycache__/(?P<stem>[^/]+?)\.[^/.]+(\.opt-\d)?\.pyc")


def is_inert(path: str) -> bool:
    """Whether a changed path neither breaks nor repairs anything: caches, records of what ran."""
    return _INERT.match(path) is not None


def is_derived(path: str, changed: Mapping[str, object]) -> bool:
    """Whether a path is bytecode that Python makes again from a source that changed as well."""
    match = _BYTECODE.fullmatch(path)
    if match is not None:
        return f"{match['folder']}/{match['stem']}.py" in changed
    return path.endswith("/__pycache__")


def same(one: Entry, other: Entry) -> bool:
    """Whether two entries tell the same state; sizes of folders and ``opaque`` do not count."""
    if one.kind == "dir" == other.kind:
        return (one.mode, one.uid, one.gid) == (other.mode, other.uid, other.gid)
    return replace(one, opaque=False) == replace(other, opaque=False)


def states(
    broken: Snapshot, gold: Snapshot, *, inside: Callable[[str], Sequence[str]]
) -> tuple[PathState, ...]:
    """Tell how gold and the broken environment differ, path by path.

    Args:
        broken: a frozen sandbox that started from gold.
        gold: a frozen sandbox in which nothing was done.
        inside: lists what a folder of the gold holds, at any depth.

    Raises:
        RejectedError: more than ``MAX_CHANGED`` paths, gate ``paths``.
    """
    try:
        changed = dict(broken.changes(max_paths=MAX_CHANGED))
    except OverflowError as error:
        raise RejectedError("paths", f"more than {MAX_CHANGED} changed paths") from error
    for path, entry in list(changed.items()):
        # A folder that went, or was made anew, took what gold had in it along.
        if entry.opaque or (entry.kind != "dir" and gold.entry(path).kind == "dir"):
            changed.update({child: broken.entry(child) for child in inside(path) if child not in changed})
    found = []
    for path in sorted(changed):
        if is_inert(path) or is_derived(path, changed):
            continue
        before, after = gold.entry(path), replace(broken.entry(path), opaque=False)
        if not same(before, after):
            found.append(PathState(path, _plain(before), _plain(after)))
    return tuple(found)


def _plain(entry: Entry) -> Entry:
    """Leave out what says nothing: the size of a folder, the mode of a link."""
    if entry.kind == "dir":
        return replace(entry, size_bytes=0, opaque=False)
    return entry


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a list of commands.

    Attributes:
        results: one for each command that ran.
        failed: position of the command that failed, ``None`` when all went well.
    """

    results: tuple[ExecResult, ...]
    failed: int | None

    def reason(self, commands: Sequence[str]) -> str:
        """One line that tells what failed; empty when nothing did."""
        if self.failed is None:
            return ""
        last = self.results[-1]
        what = "reached its deadline" if last.timed_out else f"ended with {last.exit_code}"
        if last.restarted:
            what = "ended the shell"
        tail = " ".join(last.text.split())[-200:]
        return f"command {self.failed + 1} of {len(commands)} {what}: {tail}".rstrip(": ")


def replay(
    commands: Sequence[str], gold: Gold, sandbox: Sandbox, *, timeout_s: float = COMMAND_TIMEOUT_S
) -> Replay:
    """Type commands into ONE root shell with a login's environ; stop at the first that fails.

    Args:
        commands: in order.
        gold: gives directory and environ.
        sandbox: where.
        timeout_s: for each command.
    """
    shell = sandbox.shell(user="root", cwd=gold.workdir, environ=environ.of(gold, sandbox, user="root"))
    results: list[ExecResult] = []
    try:
        for place, command in enumerate(commands):
            results.append(shell.run(command, timeout_s=timeout_s))
            if results[-1].exit_code != 0 or results[-1].restarted:
                return Replay(tuple(results), place)
    finally:
        shell.close()
    return Replay(tuple(results), None)


def image(task: Task, gold: Gold, backend: Backend) -> Image:
    """Give the image of a task, from the store or made now: gold, commands, seal, commit.

    Args:
        task: the task.
        gold: its gold.
        backend: whose store it goes to.

    Raises:
        ImageError: a command fails, or the paths that changed are not the task's: the gold
            here is not the one on which the task was admitted.
    """
    base = golds.image(gold, backend)
    key = hashlib.sha256("\0".join((base.ref, *task.inversion.commands)).encode()).hexdigest()
    name = f"cligym/task/{task.id}:{key[:12]}"
    known = backend.find(name)
    if known is not None:
        return known
    with files.locked(files.home() / "locks" / f"task-{backend.name}-{task.id}"):
        known = backend.find(name)
        if known is None:
            known = _make(task, gold, backend, base)
            backend.tag(known, name)
    return known


def _make(task: Task, gold: Gold, backend: Backend, base: Image) -> Image:
    sandbox = backend.start(base, Limits())
    try:
        done = replay(task.inversion.commands, gold, sandbox)
        if done.failed is not None:
            raise ImageError(f"task {task.id}: {done.reason(task.inversion.commands)}")
        snapshot = sandbox.freeze()
        _check(task, snapshot, backend, base)
        return commit(task.paths, sandbox, snapshot, gold=gold, backend=backend, base=base)
    finally:
        sandbox.close()


def commit(
    paths: Sequence[PathState],
    sandbox: Sandbox,
    snapshot: Snapshot,
    *,
    gold: Gold,
    backend: Backend,
    base: Image,
) -> Image:
    """Keep a broken sandbox as an image, without what would hand gold back.

    Args:
        paths: what the inversion changed.
        sandbox: in which it was replayed; frozen.
        snapshot: its disk.
        gold: the gold.
        backend: whose sandbox it is.
        base: the gold's image.
    """
    sealed = seal(paths, snapshot, gold, backend, base)
    made = sandbox.commit()
    return sealed.onto(made, backend) if sealed else made


def _check(task: Task, snapshot: Snapshot, backend: Backend, base: Image) -> None:
    wrong = [state.path for state in task.paths if not same(snapshot.entry(state.path), state.broken)]
    if wrong:
        raise ImageError(f"task {task.id}: {wrong[0]} is not what it was at admission ({len(wrong)} paths)")
    known = {state.path for state in task.paths}
    try:
        changed = snapshot.changes(max_paths=MAX_CHANGED)
    except OverflowError as error:
        raise ImageError(f"task {task.id}: more than {MAX_CHANGED} changed paths") from error
    more = [
        path
        for path in changed
        if path not in known and not is_inert(path) and not is_derived(path, changed)
    ]
    if not more:
        return
    # Touched but equal is no change; only gold can tell, so it is asked only now.
    pristine = backend.start(base, Limits())
    try:
        before = pristine.freeze()
        real = [path for path in more if not same(before.entry(path), snapshot.entry(path))]
    finally:
        pristine.close()
    if real:
        raise ImageError(
            f"task {task.id}: {real[0]} changed, which it did not at admission ({len(real)} paths)"
        )

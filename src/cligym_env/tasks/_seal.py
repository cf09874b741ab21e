"""Take out of a task's image what would hand gold back: its commit, its bytecode.

A broken source is one ``git checkout`` away from repair as long as the repository's only commit
holds the original, and its old bytecode can be read. So the commit is made anew from the broken
state, and the bytecode of changed sources goes. Programs of the broken environment are not
trusted with it: git runs in a sandbox of its own that started from gold.
"""

from __future__ import annotations

import io
import shlex
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from cligym_env.core import Backend, Entry, Gold, Image, Limits, PathState, Snapshot
from cligym_env.errors import ImageError

__all__ = ["Seal", "seal"]

_TIMEOUT_S = 300.0
_ARCHIVE = "/var/tmp/cligym-git.tar"
_TAGS = ("", ".opt-1", ".opt-2")

# Fixed names and dates: the same inversion gives the same commit.
_RECOMMIT = """set -e
cd {workdir}
export GIT_COMMITTER_DATE='2025-01-01T00:00:00Z'
git add -A
git -c user.name=upstream -c user.email=upstream@localhost commit -q --amend --no-edit --allow-empty
rm -rf .git/ORIG_HEAD .git/COMMIT_EDITMSG .git/logs
git -c gc.reflogExpire=now gc -q --prune=now
chown -R --reference=. .git
tar -cf {archive} -C / {git}
"""


@dataclass(frozen=True, slots=True)
class Seal:
    """What goes onto a committed image: paths to remove, and a tar to unpack."""

    remove: tuple[str, ...]
    archive: bytes

    def onto(self, image: Image, backend: Backend) -> Image:
        """Make the sealed image."""
        sandbox = backend.start(image, Limits())
        try:
            sandbox.put(self.archive, remove=self.remove)
            return sandbox.commit()
        finally:
            sandbox.close()


def seal(
    paths: Sequence[PathState], broken: Snapshot, gold: Gold, backend: Backend, base: Image
) -> Seal | None:
    """Find what has to go from a broken environment.

    Args:
        paths: what the inversion changed.
        broken: the frozen sandbox in which it was replayed.
        gold: its gold.
        backend: where a sandbox for git can be started.
        base: the gold's image.

    Returns:
        What to put onto the committed image; ``None`` when there is nothing to take out.

    Raises:
        ImageError: git failed in a sandbox of the gold.
    """
    bytecode = [path for state in paths for path in _bytecode(state, broken)]
    git = f"{gold.workdir}/.git"
    inside = [state for state in paths if state.path.startswith(gold.workdir + "/")]
    archive = _empty()
    if inside and broken.entry(git).kind == "dir":
        archive = _recommit(inside, broken, gold, backend, base)
    elif not bytecode:
        return None
    else:
        return Seal(tuple(bytecode), archive)
    return Seal((*bytecode, git), archive)


def _bytecode(state: PathState, broken: Snapshot) -> list[str]:
    path = PurePosixPath(state.path)
    if path.suffix != ".py" or state.gold.kind != "file" or state.gold.sha256 == state.broken.sha256:
        return []
    folder = path.parent / "__pycache__"
    candidates = [str(folder / f"{path.stem}.cpython-311{tag}.pyc") for tag in _TAGS]
    return [name for name in candidates if broken.entry(name).kind == "file"]


def _recommit(
    inside: Sequence[PathState], broken: Snapshot, gold: Gold, backend: Backend, base: Image
) -> bytes:
    git = f"{gold.workdir}/.git"
    script = _RECOMMIT.format(
        workdir=shlex.quote(gold.workdir), archive=_ARCHIVE, git=shlex.quote(git.lstrip("/"))
    )
    sandbox = backend.start(base, Limits())
    try:
        sandbox.put(
            _pack(inside, broken), remove=[state.path for state in inside if state.broken.kind != "dir"]
        )
        done = sandbox.exec(script, timeout_s=_TIMEOUT_S)
        if done.exit_code != 0:
            raise ImageError(f"git in the gold {gold.name} ended with {done.exit_code}: {done.text[-300:]}")
        return sandbox.read(_ARCHIVE)
    finally:
        sandbox.close()


def _pack(inside: Sequence[PathState], broken: Snapshot) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for state in inside:
            member = _member(state.path, state.broken)
            if member is None:
                continue
            content = broken.read(state.path) if state.broken.kind == "file" else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _member(path: str, entry: Entry) -> tarfile.TarInfo | None:
    kinds = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
    if entry.kind not in kinds:
        return None
    member = tarfile.TarInfo(path.lstrip("/"))
    member.type, member.mode = kinds[entry.kind], entry.mode or 0o777
    member.uid, member.gid, member.linkname = entry.uid, entry.gid, entry.target
    return member


def _empty() -> bytes:
    buffer = io.BytesIO()
    tarfile.open(fileobj=buffer, mode="w").close()
    return buffer.getvalue()

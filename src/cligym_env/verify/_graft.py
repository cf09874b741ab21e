"""Builds the disk that is judged: gold, or the broken environment, with the findings put in."""

from __future__ import annotations

import io
import posixpath
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from cligym_env.core import Backend, Entry, Image, Limits, Sandbox
from cligym_env.verify._pristine import Pristine
from cligym_env.verify._states import REMAKERS, Finding, Survey

__all__ = ["Graft", "RemadeError"]

_REMAKE_TIMEOUT_S = 300.0
_TAGS = ("", ".opt-1", ".opt-2")


class RemadeError(Exception):
    """A system program made something else than the policy left.

    Args:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


@dataclass(frozen=True, slots=True)
class Graft:
    """How to make the disk; each sandbox is made anew.

    Nothing the policy did outside the findings is in it: the base is gold's image, or the task's
    when some path still is as the inversion left it.

    Attributes:
        backend: where.
        gold, task: the images.
        survey: what goes in.
        pristine: gold's disk, for the content of what is gold again.
        replaced: path → content, over everything else: the control runs' sabotage.
    """

    backend: Backend
    gold: Image
    task: Image
    survey: Survey
    pristine: Pristine
    replaced: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def is_gold(self) -> bool:
        """Whether nothing of the policy's own and nothing broken is in it."""
        return not self.replaced and len(self.survey.of("gold")) == len(self.survey.findings)

    @contextmanager
    def start(self) -> Iterator[Sandbox]:
        """Lend a fresh sandbox of it.

        Raises:
            RemadeError: a file is not what its system program makes.
            SandboxError: the machine failed.
        """
        partly_broken = bool(self.survey.of("broken"))
        sandbox = self.backend.start(self.task if partly_broken else self.gold, Limits())
        try:
            self._fill(sandbox, partly_broken)
            yield sandbox
        finally:
            sandbox.close()

    def _fill(self, sandbox: Sandbox, partly_broken: bool) -> None:
        own = self.survey.of("inert", "known", "source")
        restored = [self._restored(finding) for finding in self.survey.of("gold")] if partly_broken else []
        chosen = sorted([*own, *restored], key=lambda finding: finding.path)
        chosen = [self._sabotaged(finding) for finding in chosen]
        rest = self.replaced.keys() - {finding.path for finding in chosen}
        if chosen or rest:
            more = [_of_gold(path, self.pristine, self.replaced[path]) for path in sorted(rest)]
            sandbox.put(_archive([*chosen, *more]), remove=_removals([*chosen, *more], partly_broken))
        for finding in self.survey.of("remade"):
            sandbox.exec(REMAKERS[finding.path], timeout_s=_REMAKE_TIMEOUT_S)
            if _made(sandbox, finding.path) != finding.content:
                raise RemadeError(finding.path)

    def _restored(self, finding: Finding) -> Finding:
        content = self.pristine.content(finding.path) if finding.gold.kind == "file" else b""
        return replace(finding, final=finding.gold, content=content)

    def _sabotaged(self, finding: Finding) -> Finding:
        return replace(finding, content=self.replaced.get(finding.path, finding.content))


def _made(sandbox: Sandbox, path: str) -> bytes | None:
    try:
        return sandbox.read(path)
    except (FileNotFoundError, OverflowError):
        return None


def _of_gold(path: str, pristine: Pristine, content: bytes) -> Finding:
    entry = pristine.snapshot.entry(path)
    return Finding(path, "source", entry, entry, entry, content)


def _removals(findings: Sequence[Finding], partly_broken: bool) -> list[str]:
    """What has to go first: all but folders that stay folders, and the bytecode of new sources."""
    paths = []
    for finding in findings:
        there = finding.before if partly_broken else finding.gold
        if there.kind == "dir" == finding.final.kind:
            continue
        if there.kind != "absent":
            paths.append(finding.path)
        if finding.path.endswith(".py"):
            folder, name = posixpath.split(finding.path)
            paths += [f"{folder}/__pycache__/{name[:-3]}.cpython-311{tag}.pyc" for tag in _TAGS]
    return paths


def _archive(findings: Sequence[Finding]) -> bytes:
    buffer = io.BytesIO()
    now = int(time.time())  # newer than gold's bytecode, so that Python compiles anew
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for finding in findings:
            member = _member(finding.path, finding.final, now)
            if member is not None:
                member.size = len(finding.content) if finding.final.kind == "file" else 0
                tar.addfile(member, io.BytesIO(finding.content))
    return buffer.getvalue()


def _member(path: str, entry: Entry, mtime: int) -> tarfile.TarInfo | None:
    kinds = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
    if entry.kind not in kinds:
        return None
    member = tarfile.TarInfo(path.lstrip("/"))
    member.type, member.mode, member.mtime = kinds[entry.kind], entry.mode, mtime
    member.uid, member.gid, member.linkname = entry.uid, entry.gid, entry.target
    return member

"""Reads the final state of every path that counts, and says what each may do in a graft."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from cligym_env.core import Entry, Gold, Snapshot, Task
from cligym_env.tasks import is_derived, is_inert, same
from cligym_env.verify import _equal, _zones
from cligym_env.verify._pristine import SITE, Pristine, View, distribution

__all__ = ["Finding", "Kind", "Survey", "survey"]

Kind = Literal["gold", "broken", "inert", "known", "remade", "source", "quarantined"]

MAX_CHANGED = 20_000
MAX_CONTENT_BYTES = 32 << 20
_MAX_FLAGS = 100
_MAX_COMPARED = 500
_MAX_SHOWN_CHARS = 240
_SET_ID_BITS = 0o6000
REMAKERS = {
    "/etc/ld.so.cache": "/sbin/ldconfig",
    "/usr/lib/locale/locale-archive": "rm -f /usr/lib/locale/locale-archive; /usr/sbin/locale-gen",
    "/etc/ssl/certs/ca-certificates.crt": "/usr/sbin/update-ca-certificates --fresh",
}
"""Files a system program makes from others: accepted when that program, run by us, makes the same."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The final state of one path, and what follows from it.

    Attributes:
        path: absolute.
        kind: ``gold`` (it is, or means the same), ``broken`` (as the inversion left it), ``inert``
            (differs, carries no code), ``known`` (a file of a published release), ``remade``
            (to be compared with what a system program makes), ``source`` (code of the policy's own,
            outside the trusted base), ``quarantined``.
        before: what the task image has there.
        final: what the policy left.
        gold: what gold has.
        content: of a regular file that goes into the graft.
        reason: one line, for ``quarantined``.
    """

    path: str
    kind: Kind
    before: Entry
    final: Entry
    gold: Entry
    content: bytes = b""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """All findings of one final state.

    Attributes:
        findings: one for each path of the inversion, and for further paths of the same unit.
        flags: what else the policy changed that could steer a test run, as ``<class>: <path>``.
    """

    findings: tuple[Finding, ...]
    flags: tuple[str, ...]

    def of(self, *kinds: Kind) -> list[Finding]:
        """The findings of these kinds."""
        return [finding for finding in self.findings if finding.kind in kinds]


def survey(task: Task, gold: Gold, snapshot: Snapshot, pristine: Pristine) -> Survey:
    """Read a final state; nothing in it is executed.

    Args:
        task: tells the paths of the inversion.
        gold: its gold.
        snapshot: the policy's disk.
        pristine: gold's disk.
    """
    states = [(state.path, state.broken, state.gold) for state in task.paths]
    changed, overflow = _changed(snapshot)
    unit = _Unit(path for path, _, _ in states)
    known = {path for path, _, _ in states}
    beside = [path for path in changed if path not in known and unit.has(path)]
    # What the inversion left alone is in the task's image as it is in gold's.
    states += [(path, there, there) for path in beside for there in [pristine.snapshot.entry(path)]]
    finals = {path: _final(snapshot, path, changed) for path, _, _ in states}
    look = _Look(gold, snapshot, pristine, View(pristine, finals))
    found = [look.at(path, before, finals[path], there) for path, before, there in states]
    findings = tuple(one for one in found if one.kind != "quarantined" or one.path in known)
    taken = {finding.path for finding in findings if finding.kind != "broken"}
    rest = [path for path, entry in changed.items() if entry.kind != "dir" or entry.opaque]
    others = [path for path in rest if path not in taken | known and not is_derived(path, changed)]
    flags = _flags(others, gold, lambda path: _is_as_gold(path, snapshot, changed, pristine))
    return Survey(findings, (*flags, *(["too many changed paths: /"] if overflow else [])))


def _changed(snapshot: Snapshot) -> tuple[Mapping[str, Entry], bool]:
    try:
        return snapshot.changes(max_paths=MAX_CHANGED), False
    except OverflowError:
        return {}, True


def _final(snapshot: Snapshot, path: str, changed: Mapping[str, Entry]) -> Entry:
    listed = changed.get(path)
    if listed is not None and listed.size_bytes > MAX_CONTENT_BYTES:
        return listed  # never worth a digest
    return replace(snapshot.entry(path), opaque=False)


def _is_as_gold(path: str, snapshot: Snapshot, changed: Mapping[str, Entry], pristine: Pristine) -> bool:
    """Whether a path was touched and not changed, as by installing the same again."""
    return same(_final(snapshot, path, changed), pristine.snapshot.entry(path))


def _flags(paths: Iterable[str], gold: Gold, is_equal: Callable[[str], bool]) -> list[str]:
    flags: list[str] = []
    n_compared = 0
    for path in paths:
        if _zones.is_temporary(path) or is_inert(path):
            continue
        name = _zones.steers(path, gold)
        if name not in _zones.MACHINERY:
            continue
        n_compared += 1
        if n_compared > _MAX_COMPARED or not is_equal(path):
            flags.append(f"{name}: {_printable(path)}")
        if len(flags) == _MAX_FLAGS:
            break
    return flags


def _printable(path: str) -> str:
    """A path a policy named, as text that any format holds."""
    text = path.encode("utf-8", "backslashreplace").decode()
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown if len(shown) <= _MAX_SHOWN_CHARS else shown[: _MAX_SHOWN_CHARS - 1] + "…"


class _Unit:
    """The distributions whose installed files an inversion touched."""

    def __init__(self, paths: Iterable[str]) -> None:
        tops = {match["top"] for path in paths if (match := SITE.match(path))}
        self._tops = {top for top in tops if not top.endswith((".pth", ".py"))}
        self._names = {
            distribution(top.removesuffix(".py").split("-")[0])
            for top in tops
            if top.endswith((".dist-info", ".egg-info", ".py"))
        }

    def has(self, path: str) -> bool:
        """Whether a path is another file of one of them."""
        match = SITE.match(path)
        if match is None or "/__pycache__" in path:
            return False
        top = match["top"]
        named = top.endswith(".dist-info") and distribution(top.split("-")[0]) in self._names
        return named or top in self._tops


class _Look:
    """Decides path by path."""

    def __init__(self, gold: Gold, snapshot: Snapshot, pristine: Pristine, view: View) -> None:
        self._gold, self._snapshot, self._pristine, self._view = gold, snapshot, pristine, view

    def at(self, path: str, before: Entry, final: Entry, gold: Entry) -> Finding:
        """The finding for one path."""
        found = Finding(path, "gold", before, final, gold)
        if same(final, gold):
            return found
        if same(final, before):
            return replace(found, kind="broken")
        by_kind: dict[str, Callable[[Finding], Finding]] = {
            "absent": self._absent,
            "dir": self._folder,
            "link": self._link,
            "file": self._file,
        }
        return by_kind.get(final.kind, _refused_device)(found)

    def _absent(self, found: Finding) -> Finding:
        """What is gone can hide no payload, whatever gold has there."""
        return replace(found, kind="inert")

    def _folder(self, found: Finding) -> Finding:
        if found.gold.kind == "dir" or found.before.kind == "dir" or found.gold.kind == "absent":
            return replace(found, kind="inert")
        return _refused(found, "a folder stands where gold has something else")

    def _link(self, found: Finding) -> Finding:
        if self._resolves_alike(found):
            return replace(found, kind="gold")
        place, entry = self._view.resolve(found.path)
        zone = place.startswith(_equal.ZONES) and entry.kind == "file"
        if zone and (found.path == "/etc/localtime" or found.path.startswith(_equal.ZONES)):
            return replace(found, kind="inert")
        return _refused(found, "a link that leads elsewhere than gold's")

    def _resolves_alike(self, found: Finding) -> bool:
        gold_place, gold_entry = View(self._pristine, {}).resolve(found.path)
        place, entry = self._view.resolve(found.path)
        if entry.kind == "file" == gold_entry.kind:
            return (entry.sha256, entry.mode) == (gold_entry.sha256, gold_entry.mode)
        return entry.kind == "dir" == gold_entry.kind and place == gold_place

    def _file(self, found: Finding) -> Finding:
        final, gold = found.final, found.gold
        if final.mode & ~gold.mode & _SET_ID_BITS:
            return _refused(found, "gained a set-id bit")
        if final.sha256 and final.sha256 in (gold.sha256, found.before.sha256):
            return self._with_content(replace(found, kind="inert"))  # mode and owner differ
        if gold.kind == "link" and self._resolves_alike(found):
            return replace(found, kind="gold")
        if final.size_bytes > MAX_CONTENT_BYTES:
            return _refused(found, f"{final.size_bytes} bytes")
        found = self._with_content(found)
        return found if found.kind == "quarantined" else self._other_content(found)

    def _other_content(self, found: Finding) -> Finding:
        path, content = found.path, found.content
        gold = self._pristine.content(path) if found.gold.kind == "file" else b""
        if found.gold.kind == "file" and self._means_the_same(path, content, gold):
            return replace(found, kind="gold" if _same_rights(found) else "inert")
        if _equal.is_neutral(path, content) or _equal.carries_no_code(path, content, gold):
            return replace(found, kind="inert")
        if path in REMAKERS:
            return replace(found, kind="remade")
        if self._is_published(found):
            return replace(found, kind="known")
        if _zones.may_be_own(path, self._gold):
            return replace(found, kind="source")
        return _refused(found, "neither gold's, nor as it was, nor of a known release")

    def _means_the_same(self, path: str, content: bytes, gold: bytes) -> bool:
        if path.endswith(".pyc"):
            return self._pristine.same_code(content, gold)
        return _equal.same_meaning(path, content, gold)

    def _with_content(self, found: Finding) -> Finding:
        try:
            return replace(found, content=self._snapshot.read(found.path, max_bytes=MAX_CONTENT_BYTES))
        except (FileNotFoundError, OverflowError):
            return _refused(found, "cannot be read")

    def _is_published(self, found: Finding) -> bool:
        match = SITE.match(found.path)
        if match is None:
            return False
        inner = found.path[len(match["folder"]) + 1 :]
        wheels = self._pristine.wheels
        return any((inner, found.final.sha256) in files for files in wheels.values())


def _same_rights(found: Finding) -> bool:
    final, gold = found.final, found.gold
    # A file that gold does not have may say nothing and still count, by its owner and mode: a lock.
    return (final.mode, final.uid, final.gid) == (gold.mode, gold.uid, gold.gid) and gold.kind == "file"


def _refused(found: Finding, reason: str) -> Finding:
    return replace(found, kind="quarantined", reason=reason)


def _refused_device(found: Finding) -> Finding:
    return _refused(found, "a device, a socket or a FIFO")

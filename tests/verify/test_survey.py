"""What each final state may do in a graft, on disks in memory."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import replace

import pytest

from cligym_env.core import Entry, Gold, Inversion, PathState, Source, Task
from cligym_env.verify._states import MAX_CONTENT_BYTES, survey

GOLD = Gold("g", Source("local", "x"), passing=("checks/own.py::test_a",))
SITE = "/opt/venv/lib/python3.11/site-packages"


def file(content: bytes, mode: int = 0o644, uid: int = 0) -> tuple[Entry, bytes]:
    return Entry("file", mode, uid, uid, len(content), sha256=hashlib.sha256(content).hexdigest()), content


def link(target: str) -> tuple[Entry, bytes]:
    return Entry("link", target=target), b""


FOLDER = (Entry("dir", 0o755), b"")
ABSENT = (Entry("absent"), b"")


class Disk:
    """A snapshot of a dict; folders above a path stand by themselves."""

    def __init__(self, tree: Mapping[str, tuple[Entry, bytes]], *, overflows: bool = False) -> None:
        self.tree = dict(tree)
        self.overflows = overflows

    def changes(self, *, max_paths=0):
        if self.overflows:
            raise OverflowError
        return {path: replace(entry, sha256="") for path, (entry, _) in sorted(self.tree.items())}

    def entry(self, path):
        if path in self.tree:
            return self.tree[path][0]
        below = any(known.startswith(path.rstrip("/") + "/") for known in self.tree)
        return Entry("dir", 0o755) if below or path == "/" else Entry("absent")

    def read(self, path, *, max_bytes=0):
        if self.entry(path).kind != "file":
            raise FileNotFoundError(path)
        return self.tree[path][1]


class Pristine:
    def __init__(self, tree, wheels=None) -> None:
        self.snapshot = Disk(tree)
        self.wheels = wheels or {}

    def same_code(self, one, other):
        return one[16:] == other[16:]

    def content(self, path):
        return self.snapshot.tree.get(path, ABSENT)[1]


def kind(path, gold, broken, final, *, tree=None, more=None, wheels=None, **options):
    state = PathState(path, gold[0], broken[0])
    task = Task("g.x.1", Inversion("g", "x", "other", (), (), ""), 0, ("a",), 4, (state,), "", "train", "")
    pristine = Pristine({**(tree or {}), **({path: gold} if gold is not ABSENT else {})}, wheels)
    left = Disk({**({path: final} if final is not ABSENT else {}), **(more or {})}, **options)
    return survey(task, GOLD, left, pristine)


def pyc(code: bytes, head: bytes = b"head of file") -> tuple[Entry, bytes]:
    return file(importlib.util.MAGIC_NUMBER + head + code)


BYTECODE = "/testbed/pkg/__pycache__/mod.cpython-311.pyc"
A, B, C = file(b"a = 1\n"), file(b"b = 1\n"), file(b"import os\n")
SOURCE = "/testbed/pkg/mod.py"
STDLIB = "/usr/lib/python3.11/json/decoder.py"
TZ = {
    "/usr/share/zoneinfo/Etc/UTC": file(b"TZif1"),
    "/usr/share/zoneinfo/UTC": file(b"TZif1"),
    "/usr/share/zoneinfo/Asia/Tokyo": file(b"TZif2"),
}


@pytest.mark.parametrize(
    ("path", "gold", "broken", "final", "wanted"),
    [
        (SOURCE, A, B, A, "gold"),
        (SOURCE, A, B, B, "broken"),
        (SOURCE, A, B, file(b"a=1 # one"), "gold"),
        (SOURCE, A, B, file(b"a = 1\n", 0o600, 1000), "inert"),
        (SOURCE, A, B, file(b"b = 1\n", 0o600), "inert"),
        (SOURCE, A, B, file(b""), "inert"),
        (SOURCE, A, B, ABSENT, "inert"),
        (SOURCE, A, B, C, "source"),
        (SOURCE, A, B, file(b"a = 1\n", 0o4755), "quarantined"),
        (SOURCE, A, B, FOLDER, "quarantined"),
        (SOURCE, A, B, link("/opt/evil.py"), "quarantined"),
        (SOURCE, A, B, link("/proc/self/fd/0"), "quarantined"),
        (SOURCE, A, B, link("mod.py"), "quarantined"),
        (SOURCE, A, B, (Entry("other"), b""), "quarantined"),
        (SOURCE, A, B, (Entry("file", 0o644, size_bytes=MAX_CONTENT_BYTES + 1), b""), "quarantined"),
        (SOURCE, ABSENT, A, C, "source"),
        (STDLIB, A, B, C, "quarantined"),
        (STDLIB, A, B, file(b"a = 1  # same\n"), "gold"),
        ("/testbed/tests/test_a.py", A, B, C, "quarantined"),
        ("/testbed/checks/own.py", A, B, C, "quarantined"),
        ("/testbed/conftest.py", A, B, C, "quarantined"),
        ("/testbed/setup.cfg", file(b"[x]\n"), file(b"[y]\n"), file(b"[z]\n"), "quarantined"),
        ("/testbed/.git/config", file(b"[x]\n"), file(b"[y]\n"), file(b"[z]\n"), "quarantined"),
        ("/testbed/pkg/_speedups.so", file(b"ELF1"), file(b"ELF2"), file(b"ELF3"), "quarantined"),
        (BYTECODE, pyc(b"gold"), pyc(b"stale"), pyc(b"gold", b"other head  "), "gold"),
        (BYTECODE, pyc(b"gold"), pyc(b"stale"), pyc(b"other"), "quarantined"),
        (BYTECODE, pyc(b"gold"), pyc(b"stale"), file(b"no bytecode"), "inert"),
        (BYTECODE, pyc(b"gold"), pyc(b"stale"), file(b""), "inert"),
        (BYTECODE, pyc(b"gold"), pyc(b"stale"), ABSENT, "inert"),
        (BYTECODE, ABSENT, pyc(b"stale"), pyc(b"other"), "quarantined"),
        (f"{SITE}/hook.pth", ABSENT, file(b"import evil\n"), file(b"# import evil\n"), "inert"),
        (f"{SITE}/hook.pth", ABSENT, file(b"import evil\n"), file(b"import worse\n"), "quarantined"),
        (f"{SITE}/hook.pth", ABSENT, file(b"import evil\n"), ABSENT, "gold"),
        ("/etc/environment", file(b""), file(b"TZ=No/Where\n"), file(b"TZ=UTC\n"), "inert"),
        ("/etc/environment", file(b""), file(b"TZ=No/Where\n"), file(b"LD_PRELOAD=/x\n"), "quarantined"),
        ("/etc/ld.so.cache", file(b"c1"), file(b"c2"), file(b"c3"), "remade"),
        ("/var/lib/x/state.lock", ABSENT, file(b"1\n"), file(b"2\n"), "source"),
        ("/var/lib/dpkg/status", file(b"1\n"), file(b"2\n"), file(b"3\n"), "quarantined"),
        ("/usr/share/zoneinfo/Etc/UTC", file(b"TZif1"), file(b"x"), file(b"TZif2"), "inert"),
        ("/usr/share/zoneinfo/Etc/UTC", file(b"TZif1"), file(b"x"), file(b"y"), "quarantined"),
        ("/opt/data", FOLDER, (Entry("dir", 0o700), b""), (Entry("dir", 0o777), b""), "inert"),
    ],
)  # fmt: skip
def test_kinds(path, gold, broken, final, wanted):
    (finding,) = kind(path, gold, broken, final).findings
    assert finding.kind == wanted, finding.reason
    assert bool(finding.reason) == (wanted == "quarantined")


@pytest.mark.parametrize(
    ("final", "wanted"),
    [
        (link("/usr/share/zoneinfo/UTC"), "gold"),
        (link("../usr/share/zoneinfo/./UTC"), "gold"),
        (link("/usr/share/zoneinfo/Asia/Tokyo"), "inert"),
        (file(b"TZif1"), "gold"),
        (file(b"TZif9"), "quarantined"),
        (link("/usr/share/zoneinfo/No/Where"), "quarantined"),
        (link("/etc/localtime"), "quarantined"),
    ],
)
def test_links_are_what_they_end_at(final, wanted):
    found = kind("/etc/localtime", link("/usr/share/zoneinfo/Etc/UTC"), ABSENT, final, tree=TZ)
    assert found.findings[0].kind == wanted


def test_files_of_published_wheels():
    path, digest = f"{SITE}/pkg/mod.py", C[0].sha256
    assert kind(path, A, B, C, wheels={"pkg": {("pkg/mod.py", digest)}}).findings[0].kind == "known"
    assert kind(path, A, B, C, wheels={"pkg": {("pkg/other.py", digest)}}).findings[0].kind == "quarantined"


def test_the_rest_of_the_same_distribution():
    path = f"{SITE}/pkg/mod.py"
    more = {f"{SITE}/pkg/new.py": C, f"{SITE}/pkg/evil.py": B, f"{SITE}/other/new.py": C}
    found = kind(path, A, B, A, more=more, wheels={"pkg": {("pkg/new.py", C[0].sha256)}})
    assert {finding.path: finding.kind for finding in found.findings} == {
        path: "gold",
        f"{SITE}/pkg/new.py": "known",
    }
    assert set(found.flags) == {
        f"installed package: {SITE}/pkg/evil.py",
        f"installed package: {SITE}/other/new.py",
    }


def test_what_could_steer_is_flagged_in_printable_text():
    more = {
        "/etc/ld.so.preload": C,
        "/testbed/conftest.py": C,
        "/home/dev/.bashrc": C,
        "/tmp/sitecustomize.py": C,
        "/testbed/notes.txt": C,
        f"/etc/\udcff\n{'x' * 4000}": C,
    }
    flags = kind(SOURCE, A, B, B, more=more).flags
    assert len(flags) == 4
    for flag in flags:
        assert flag.encode("utf-8").decode().isprintable()
        assert len(flag) < 300


def test_too_many_changes_are_survived():
    found = kind(SOURCE, A, B, A, overflows=True)
    assert found.findings[0].kind == "gold"
    assert found.flags == ("too many changed paths: /",)

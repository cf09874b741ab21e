"""The gates that need no sandbox: paths and the leak audit, over snapshots in memory."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import importlib.util
import io
import lzma
import marshal
import py_compile
import tarfile
import zipfile
import zlib
from dataclasses import replace

import pytest
from inversion_samples import GOLD

from cligym_env.admission import _audit, _paths
from cligym_env.core import Entry, PathState
from cligym_env.errors import RejectedError

ABSENT = Entry("absent")
FOLDER = Entry("dir", 0o755)
FILE = Entry("file", 0o644, 0, 0, 100, sha256="a" * 64)
OTHER = replace(FILE, sha256="b" * 64)


# ── paths ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/testbed/h11/tests/test_io.py", "tests"),
        ("/testbed/h11/tests/data/x", "tests"),
        ("/testbed/test/x.txt", "tests"),
        ("/testbed/h11/test_inline.py", "tests"),
        ("/testbed/conftest.py", "tests"),
        ("/testbed/pyproject.toml", "configures"),
        ("/testbed/setup.cfg", "configures"),
        ("/testbed/.git/HEAD", "git"),
        ("/opt/other/.git/objects/aa/bb", "git"),
        ("/tmp/flag", "temporary"),
        ("/var/tmp/flag", "temporary"),
        ("/run/lock/x", "temporary"),
        ("/dev/shm/x", "temporary"),
        ("/etc/hosts", "temporary"),
        ("/etc/resolv.conf", "temporary"),
        ("/root/.bashrc", "shells"),
        ("/home/dev/.profile", "shells"),
        ("/etc/profile.d/x.sh", "shells"),
        ("/usr/lib/a\nb", "name"),
        ("/usr/lib/a\udcff", "name"),
    ],
)
def test_paths_that_must_not_change(path, reason):
    with pytest.raises(RejectedError, match=reason) as caught:
        _paths.check([PathState(path, FILE, OTHER)], GOLD)
    assert caught.value.gate == "paths"


@pytest.mark.parametrize(
    "path",
    [
        "/testbed/h11/_readers.py",
        "/usr/lib/x.so",
        "/etc/environment",
        "/testbed/h11/testing.py",
        "/opt/venv/lib/tests/x",
    ],
)
def test_paths_that_may_change(path):
    assert _paths.check([PathState(path, FILE, OTHER)], GOLD)


def test_a_test_folder_taken_away_whole_is_refused():
    with pytest.raises(RejectedError, match="tests"):
        _paths.check([PathState("/testbed/h11/tests", FOLDER, ABSENT)], GOLD)


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ([], "nothing on the disk"),
        ([PathState(f"/usr/lib/{n}", FILE, OTHER) for n in range(61)], "61 paths"),
        ([PathState("/usr/lib/x", ABSENT, replace(FILE, size_bytes=9 << 20))], "bytes change"),
        ([PathState("/usr/lib/x", ABSENT, Entry("other", 0o644))], "FIFO"),
        ([PathState("/usr/bin/x", FILE, replace(FILE, mode=0o4755))], "set-id"),
        ([PathState("/usr/bin/x", ABSENT, replace(FILE, mode=0o2755))], "set-id"),
    ],
)
def test_bounds(paths, reason):
    with pytest.raises(RejectedError, match=reason):
        _paths.check(paths, GOLD)


# ── leaks ───────────────────────────────────────────────────────────────────────────────────

ORIGINAL = b"def parse(text):\n    return text.strip().partition(':')\n" + b"# padding of the file\n" * 4
BROKEN = ORIGINAL.replace(b"partition", b"rpartition")
BINARY = bytes(range(256)) * 3
ZEROED = bytes(16) + BINARY[16:]


class Disk:
    def __init__(self, contents):
        self.contents = contents

    def read(self, path, *, max_bytes=0):
        return self.contents[path]


def state_of(content):
    if content is None:
        return ABSENT
    return Entry("file", 0o644, 0, 0, len(content), sha256=hashlib.sha256(content).hexdigest())


def audit(before, after):
    """Audit an inversion given as path → content, ``None`` where there is nothing."""
    paths = [
        PathState(path, state_of(before.get(path)), state_of(after.get(path)))
        for path in {**before, **after}
    ]
    return _audit.check(paths, Disk(after), Disk(before), replace(GOLD, workdir="/elsewhere"), None)


def refused(after, before=None):
    with pytest.raises(RejectedError) as caught:
        audit(before or {"/lib/m.py": ORIGINAL}, after)
    assert caught.value.gate == "leaks"
    return caught.value.reason


def tarred(content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("m.py")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m.py", content)
    return buffer.getvalue()


def test_a_plain_break_is_clean():
    assert audit({"/lib/m.py": ORIGINAL}, {"/lib/m.py": BROKEN})
    assert audit({"/lib/m.py": ORIGINAL}, {"/lib/m.py": None})
    assert audit({"/lib/m.so": BINARY}, {"/lib/m.so": ZEROED})
    assert audit({}, {"/lib/shadow.py": ORIGINAL})


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        lambda content: b"head" + content + b"tail",
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zlib.compress,
        lambda content: zlib.compress(b"blob %d\0" % len(content) + content),
        tarred,
        zipped,
        lambda content: gzip.compress(bz2.compress(content)),
        base64.b64encode,
        base64.encodebytes,
        lambda content: content.hex().encode(),
        lambda content: content[::-1],
        lambda content: content.splitlines()[1],
    ],
)
@pytest.mark.parametrize("broken", [BROKEN, None])
def test_a_copy_of_a_text_is_found(pack, broken):
    assert "holds what" in refused({"/lib/m.py": broken, "/var/lib/copy": pack(ORIGINAL)})


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda content: content[:64], base64.b64encode])
def test_a_copy_of_a_binary_is_found(pack):
    assert "holds what" in refused(
        {"/lib/m.so": ZEROED, "/var/lib/copy": pack(BINARY)}, {"/lib/m.so": BINARY}
    )


def test_an_encrypted_zip_or_rubbish_is_no_crash():
    rubbish = bytearray(zipped(b"x" * 1000))
    rubbish[6] |= 1
    assert audit(
        {"/lib/m.py": ORIGINAL},
        {"/lib/m.py": BROKEN, "/a": bytes(rubbish), "/b": b"\x1f\x8b", "/c": b"PK\x03\x04"},
    )


@pytest.mark.parametrize(
    "name",
    [
        "m.py.orig",
        "m.py~",
        "m.bak",
        "m.old",
        ".bash_history",
        ".python_history",
        ".viminfo",
        ".m.py.swp",
        "f.patch",
    ],
)
def test_backups_and_histories_are_refused_by_name(name):
    assert "backup" in refused({"/lib/m.py": BROKEN, f"/lib/{name}": b"anything"})


def test_a_comment_that_keeps_the_original_is_refused():
    line = ORIGINAL.splitlines()[1].strip()
    assert "comment" in refused({"/lib/m.py": BROKEN + b"    # " + line + b"\n"})


@pytest.mark.parametrize(
    "mode", [py_compile.PycInvalidationMode.TIMESTAMP, py_compile.PycInvalidationMode.CHECKED_HASH]
)
def test_bytecode_of_the_original_is_refused(tmp_path, mode):
    source = tmp_path / "m.py"
    source.write_bytes(ORIGINAL)
    compiled = tmp_path / "m.pyc"
    py_compile.compile(str(source), cfile=str(compiled), invalidation_mode=mode)
    name = "/var/lib/m.cpython-311.pyc"
    assert "bytecode" in refused({"/lib/m.py": BROKEN, name: compiled.read_bytes()})
    source.write_bytes(BROKEN)
    py_compile.compile(str(source), cfile=str(compiled), invalidation_mode=mode)
    assert audit({"/lib/m.py": ORIGINAL}, {"/lib/m.py": BROKEN, name: compiled.read_bytes()})


def test_bytecode_that_was_there_before_is_not_held_against_a_break():
    code = importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile("x = 1", "x", "exec"))
    assert audit({"/lib/m.py": ORIGINAL}, {"/lib/m.py": BROKEN, "/lib/other.pyc": code})


def test_tiny_originals_are_not_looked_for():
    assert audit({"/etc/timezone": b"Etc/UTC\n"}, {"/etc/timezone": b"x\n", "/etc/note": b"Etc/UTC\n"})


def test_another_release_shares_lines_with_the_one_it_replaces():
    site = "/opt/venv/lib/python3.11/site-packages"
    before = {f"{site}/m-2.dist-info/METADATA": ORIGINAL, f"{site}/m.py": ORIGINAL}
    after = {
        f"{site}/m-2.dist-info/METADATA": None,
        f"{site}/m-1.dist-info/METADATA": BROKEN,
        f"{site}/m-1.dist-info/LICENSE": ORIGINAL,
        f"{site}/m.py": BROKEN,
    }
    assert audit(before, after)
    assert "holds what" in refused(
        {**after, "/opt/copy": b"x" + ORIGINAL}, {**before, "/lib/m.py": ORIGINAL}
    )

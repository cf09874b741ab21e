"""Checks of files in and out: content, modes, owners, links, and archives that mean harm."""

from __future__ import annotations

import contextlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from cligym_env.core import Sandbox
from cligym_env.errors import CligymError
from cligym_env.testing._bench import LONG_S, Bench, collect, nonce, ok, raises, returned, same

__all__ = ["CHECKS", "archive"]

_TIME = 1_000_000_000


def archive(*members: tuple[str, str, int, int, int, str | bytes]) -> bytes:
    """Make a tar.

    Args:
        members: kind (``file``, ``dir``, ``link``, ``hard``), name, mode, uid, gid, and the
            content or the target.
    """
    stream = io.BytesIO()
    types = {
        "file": tarfile.REGTYPE,
        "dir": tarfile.DIRTYPE,
        "link": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
    }
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for kind, name, mode, uid, gid, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.uid, member.gid, member.mtime = (
                types[kind],
                mode,
                uid,
                gid,
                _TIME,
            )
            data = content if isinstance(content, bytes) else b""
            member.size = len(data)
            member.linkname = content if isinstance(content, str) else ""
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def _stat(sandbox: Sandbox, paths: Sequence[str], form: str = "%A %u %g %n") -> list[str]:
    return sandbox.exec(["stat", "-c", form, *paths], timeout_s=LONG_S).text.splitlines()


def _outside() -> Path:
    """Name a path on the host that a hostile link points to; nothing is there."""
    return Path(tempfile.gettempdir()) / f"cligym-check-{nonce()}"


def file_round_trip(bench: Bench) -> None:
    """What is written is read back, by us and by commands: root's, with its mode, in new folders."""
    sandbox = bench.start()
    for data in (b"", b"text\n", bytes(range(256)) * 300):
        sandbox.write("/srv/a/b/file", data, mode=0o640)
        same(sandbox.read("/srv/a/b/file"), data, "content")
        ok(sandbox.exec(["cat", "/srv/a/b/file"], timeout_s=LONG_S), data)
    same(_stat(sandbox, ["/srv/a/b/file"]), ["-rw-r----- 0 0 /srv/a/b/file"], "state")
    same(_stat(sandbox, ["/srv/a/b"]), ["drwxr-xr-x 0 0 /srv/a/b"], "state of a folder made for it")
    ok(sandbox.exec("printf by-command > /srv/c", timeout_s=LONG_S))
    same(sandbox.read("/srv/c"), b"by-command", "content")


def file_big(bench: Bench) -> None:
    """A file of 32 MB goes in and out."""
    sandbox = bench.start()
    data = bytes(range(256)) * 131_072
    sandbox.write("/srv/big", data)
    same(sandbox.read("/srv/big") == data, True, "equality of what was read")
    ok(sandbox.exec("wc -c < /srv/big", timeout_s=LONG_S), f"{len(data)}\n")


def file_names(bench: Bench) -> None:
    """Names with blanks, quotes, line ends, dashes and any script are names like others."""
    sandbox = bench.start()
    for name in ("a b", "'q\"", "line\nend", "-n", "ä日𝄞", "$HOME", "*", "..."):
        sandbox.write(f"/srv/{name}", name.encode())
        same(sandbox.read(f"/srv/{name}"), name.encode(), f"content of {name!r}")
        ok(sandbox.exec(["cat", f"/srv/{name}"], timeout_s=LONG_S), name)


def file_missing(bench: Bench) -> None:
    """Reading what is no regular file, or too large, raises the promised errors, and never hangs."""
    sandbox = bench.start()
    ok(
        sandbox.exec(
            "cd /srv; mkfifo pipe; ln -s nowhere link; ln -s loop loop; head -c 101 /dev/zero > big",
            timeout_s=LONG_S,
        )
    )
    for path in (
        "/srv/none",
        "/srv/none/none",
        "/srv",
        "/srv/link",
        "/srv/loop",
        "/srv/pipe",
        "/dev/zero",
        "/etc/passwd/x",
    ):
        raises(FileNotFoundError, partial(returned, partial(sandbox.read, path), 0), path)
    raises(OverflowError, lambda: sandbox.read("/srv/big", max_bytes=100), "a file above max_bytes")
    same(len(sandbox.read("/srv/big", max_bytes=101)), 101, "size of a file at max_bytes")


def file_links(bench: Bench) -> None:
    """Reading follows links, relative and absolute, inside the sandbox only."""
    sandbox = bench.start()
    outside = _outside()
    outside.write_bytes(b"host")
    try:
        sandbox.write("/srv/real/file", b"inside")
        ok(
            sandbox.exec(
                f"cd /srv; ln -s real dir; ln -s ../srv/dir/file rel; ln -s /srv/rel abs; "
                f"ln -s {outside} out; ln -s ../../../../../../../../..{outside} up",
                timeout_s=LONG_S,
            )
        )
        for path in ("/srv/dir/file", "/srv/rel", "/srv/abs"):
            same(sandbox.read(path), b"inside", path)
        for path in ("/srv/out", "/srv/up"):
            raises(FileNotFoundError, partial(sandbox.read, path), path)
    finally:
        outside.unlink()


def file_write_hostile_links(bench: Bench) -> None:
    """Writing where the sandbox planted links never reaches the host."""
    sandbox = bench.start()
    with _host_folder() as outside:
        ok(
            sandbox.exec(
                f"cd /srv; ln -s {outside} dir; ln -s {outside}/file file; "
                f"ln -s ../../../../../../..{outside} up",
                timeout_s=LONG_S,
            )
        )
        for path in ("/srv/dir/file", "/srv/file", "/srv/up/file"):
            with contextlib.suppress(CligymError, OSError):
                sandbox.write(path, b"x")


def put_states(bench: Bench) -> None:
    """An archive's members come with content, modes, owners, times and links."""
    sandbox = bench.start()
    sandbox.put(
        archive(
            ("dir", "srv/d", 0o1777, 7, 8, ""),
            ("file", "srv/d/f", 0o4755, 1234, 2345, b"content"),
            ("file", "srv/new/deep/f", 0o600, 0, 0, b"deep"),
            ("link", "srv/d/l", 0o777, 5, 6, "f"),
            ("hard", "srv/d/h", 0o4755, 1234, 2345, "srv/d/f"),
            ("file", "srv/ä日", 0o644, 0, 0, b"name"),
        )
    )
    wanted = [
        "drwxrwxrwt 7 8 /srv/d",
        "-rwsr-xr-x 1234 2345 /srv/d/f",
        "-rw------- 0 0 /srv/new/deep/f",
        "lrwxrwxrwx 5 6 /srv/d/l",
        "-rwsr-xr-x 1234 2345 /srv/d/h",
        "-rw-r--r-- 0 0 /srv/ä日",
    ]
    same(_stat(sandbox, [line.split(" ")[-1] for line in wanted]), wanted, "states")
    same(_stat(sandbox, ["/srv/d/f"], "%h %Y"), [f"2 {_TIME}"], "hard links and time")
    same((sandbox.read("/srv/d/l"), sandbox.read("/srv/new/deep/f")), (b"content", b"deep"), "contents")


def put_replaces(bench: Bench) -> None:
    """A member takes the place of what stands there: of a file, a link, another kind."""
    sandbox = bench.start()
    ok(
        sandbox.exec(
            "cd /srv; echo old > file; echo target > target; ln -s target link; mkdir -p full/x; "
            "ln -s target was-link; mkfifo pipe",
            timeout_s=LONG_S,
        )
    )
    sandbox.put(
        archive(
            ("file", "srv/file", 0o644, 0, 0, b"new"),
            ("file", "srv/link", 0o644, 0, 0, b"new"),
            ("file", "srv/pipe", 0o644, 0, 0, b"new"),
            ("link", "srv/was-link", 0o777, 0, 0, "file"),
            ("dir", "srv/full", 0o700, 3, 4, ""),
        )
    )
    contents = [sandbox.read(f"/srv/{name}") for name in ("file", "link", "pipe", "was-link", "target")]
    same(contents, [b"new", b"new", b"new", b"new", b"target\n"], "contents")
    same(
        _stat(sandbox, ["/srv/full", "/srv/full/x"], "%A %u"), ["drwx------ 3", "drwxr-xr-x 0"], "a folder"
    )


def put_removes(bench: Bench) -> None:
    """Removals come first, take whole trees, follow no link, and do not mind what is missing."""
    sandbox = bench.start()
    ok(
        sandbox.exec(
            "cd /srv; mkdir -p tree/a keep; touch tree/a/f keep/f; ln -s keep link; touch again",
            timeout_s=LONG_S,
        )
    )
    sandbox.put(
        archive(("file", "srv/again/now-below", 0o644, 0, 0, b"new")),
        remove=["/srv/tree", "/srv/link", "/srv/none", "/srv/link2/x", "/srv/again"],
    )
    ok(
        sandbox.exec("cd /srv; find . | LC_ALL=C sort", timeout_s=LONG_S),
        ".\n./again\n./again/now-below\n./keep\n./keep/f\n",
    )


def put_needs_nothing_inside(bench: Bench) -> None:
    """Archives go in, and files out, when the sandbox has no programs any more."""
    sandbox = bench.start()
    sandbox.exec("rm -rf /usr/bin /bin /usr/sbin /sbin", timeout_s=LONG_S)
    sandbox.put(archive(("file", "srv/f", 0o644, 0, 0, b"in")), remove=["/srv/g"])
    same(sandbox.read("/srv/f"), b"in", "content")
    sandbox.write("/srv/h", b"too")
    same(sandbox.read("/srv/h"), b"too", "content")


def put_hostile(bench: Bench) -> None:
    """Neither the archive nor links planted in the sandbox lead out of it."""
    sandbox, names = bench.start(), ("dir/file", "up/file", "file")
    with _host_folder() as outside:
        ok(
            sandbox.exec(
                f"cd /srv; ln -s {outside} dir; ln -s {outside}/file file; "
                f"ln -s ../../../../../../..{outside} up",
                timeout_s=LONG_S,
            )
        )
        sandbox.put(archive(*(("file", f"srv/{name}", 0o644, 0, 0, b"x") for name in names)))
        same([sandbox.read(f"/srv/{name}") for name in names], [b"x"] * 3, "contents")
        up, file = f"../../../../..{outside}", (0o644, 0, 0, b"x")
        for members, remove in (
            ([("file", f"{up}/file", *file)], []),
            ([("file", f"{outside}/file", *file)], []),
            ([("link", "srv/in", 0o777, 0, 0, str(outside)), ("file", "srv/in/file", *file)], []),
            ([("hard", "srv/hard", 0o644, 0, 0, f"{up}/precious")], []),
            ([], [f"/srv/dir2/{up}/precious", f"{outside}/precious"]),
        ):
            # Refused or kept inside: both are right.
            with contextlib.suppress(CligymError, OSError):
                sandbox.put(archive(*members), remove=remove)


def put_removes_through_no_link(bench: Bench) -> None:
    """A removal below a link of the sandbox removes nothing on the host."""
    sandbox = bench.start()
    with _host_folder() as outside:
        ok(
            sandbox.exec(
                f"ln -s {outside} /srv/dir; ln -s ../../../../../..{outside} /srv/up", timeout_s=LONG_S
            )
        )
        sandbox.put(archive(), remove=["/srv/dir/precious", "/srv/up/precious", "/srv/dir", "/srv/up"])
        ok(sandbox.exec("ls -A /srv", timeout_s=LONG_S), "")


@contextlib.contextmanager
def _host_folder() -> Iterator[Path]:
    """Give a folder on the host with one file in it, and fail unless it stays just so."""
    outside = _outside()
    outside.mkdir()
    (outside / "precious").touch()
    try:
        yield outside
        same([file.name for file in outside.iterdir()], ["precious"], "files on the host")
        same((outside / "precious").stat().st_nlink, 1, "links to the host's file")
    finally:
        shutil.rmtree(outside)


CHECKS = tuple(check for check in collect(dict(globals())) if check.name != "archive")

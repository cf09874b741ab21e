"""Repacking sources: one user's, one top folder less, nothing that leads out."""

import io
import tarfile
from pathlib import Path

import pytest

from cligym_env.errors import GoldError
from cligym_env.gold import _tar


def pack(file: Path, *members: tuple[str, bytes | None]) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return file


def unpack(content: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_the_top_folder_is_dropped(tmp_path: Path) -> None:
    file = pack(tmp_path / "a.tar.gz", ("a-1", None), ("a-1/run.sh", b"x"), ("a-1/sub/b", b"yy"))
    members = unpack(_tar.of_source(file, "/testbed", uid=1000))
    assert set(members) == {"testbed", "testbed/run.sh", "testbed/sub/b"}
    assert {member.uid for member in members.values()} == {1000}
    assert members["testbed/run.sh"].mode == 0o755


def test_an_archive_without_a_top_folder_is_kept(tmp_path: Path) -> None:
    file = pack(tmp_path / "a.tar.gz", ("run.sh", b"x"), ("sub/b", b"yy"))
    assert set(unpack(_tar.of_source(file, "/srv/w", uid=0))) == {"srv/w", "srv/w/run.sh", "srv/w/sub/b"}


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/passwd"])
def test_members_that_lead_out(tmp_path: Path, name: str) -> None:
    file = pack(tmp_path / "a.tar.gz", ("a/b", b"x"), (name, b"x"))
    with pytest.raises(GoldError, match="leads out"):
        _tar.of_source(file, "/testbed", uid=1000)


def test_no_archive(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    file.write_bytes(b"this is no archive")
    with pytest.raises(GoldError, match="expected a tar archive"):
        _tar.of_source(file, "/testbed", uid=1000)


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "run").write_text("x")
    (tmp_path / "sub" / "run").chmod(0o700)
    (tmp_path / "link").symlink_to("sub/run")
    (tmp_path / ".git").mkdir()
    members = unpack(_tar.of_source(tmp_path, "/testbed", uid=1000))
    assert set(members) == {"testbed", "testbed/link", "testbed/sub", "testbed/sub/run"}
    assert members["testbed/link"].linkname == "sub/run"
    assert members["testbed/sub/run"].mode == 0o755

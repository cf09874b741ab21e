"""The base image's making, as far as it needs no machine."""

import errno
import os
from pathlib import Path

import pytest

from cligym_env.errors import ImageError
from cligym_env.gold import base
from cligym_env.gold._host import bar, forget_stale, host_failures, tail


def test_the_name_says_what_it_is_made_of() -> None:
    assert base.name() == f"cligym/base:{base.image_hash()}"
    assert len(base.image_hash()) == 12


def test_source_packages_are_found_on_both_forms_of_lent_sources() -> None:
    lines = base._with_sources("deb http://mirror.invalid/debian bookworm main\n")
    assert lines.splitlines()[1] == "deb-src http://mirror.invalid/debian bookworm main"
    stanza = "Types: deb\nURIs: http://mirror.invalid/debian\nSuites: bookworm\nComponents: main\n"
    assert base._with_sources(stanza).startswith("Types: deb deb-src\nURIs:")


def test_neither_way_of_making_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    with pytest.raises(ImageError, match="apt-get install mmdebstrap"):
        base._pull(tmp_path / "slim.tar")
    with pytest.raises(ImageError, match="apt-get install mmdebstrap"):
        monkeypatch.setenv("CLIGYM_HOME", str(tmp_path / "home"))
        (tmp_path / "home" / "base").mkdir(parents=True)
        base._bootstrapped(lambda line: None)


def test_a_failing_bootstrap_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\necho 'I: running'\necho 'E: cannot reach the mirror' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CLIGYM_HOME", str(tmp_path / "home"))
    with pytest.raises(ImageError, match="cannot reach the mirror"):
        base._bootstrapped(lambda line: None)
    assert [path.name for path in (tmp_path / "home" / "base").iterdir()] == ["archive.lock"]


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "no space left"), (errno.EDQUOT, "no space left"), (errno.EROFS, "cannot write")],
)
def test_the_hosts_failures_are_typed(number: int, said: str) -> None:
    with pytest.raises(ImageError, match=said), host_failures():
        raise OSError(number, "…", "/somewhere")


def test_other_failures_of_the_host_pass() -> None:
    with pytest.raises(FileNotFoundError), host_failures():
        raise FileNotFoundError(errno.ENOENT, "…")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing to a device that is always full is a full disk."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setenv("CLIGYM_HOME", str(tmp_path))
    with pytest.raises(ImageError, match=f"no space left under {tmp_path}"), host_failures():
        full.write_bytes(b"x" * 10)


def test_a_tail_is_one_line() -> None:
    assert tail("one\n\n  two\n    ^^^^\nthree\n", n_lines=2) == "two | three"


def test_a_report_is_passed_through() -> None:
    told: list[str] = []
    with bar("gold h11", told.append) as report:
        report("unpacking")
    assert told == ["unpacking"]


def test_what_killed_runs_left_goes(tmp_path: Path) -> None:
    for name in (".making-old", ".making-new", "kept"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_text("x")
    (tmp_path / ".making-file").write_text("x")
    for name in (".making-old", ".making-file", "kept"):
        os.utime(tmp_path / name, (1, 1))
    forget_stale(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".making-new", "kept"]

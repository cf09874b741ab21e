"""Fetching: from a package index served on the loopback, and once from the real one."""

import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cligym_env.core import Source
from cligym_env.errors import GoldError, ImageError
from cligym_env.gold import _pypi, _tar, fetch

WHEEL = b"PK\x05\x06" + bytes(18)
FILES = {
    "sample-1.0-py3-none-any.whl": WHEEL,
    "sample-2.0-cp311-cp311-win_amd64.whl": WHEEL,
    "sample-3.0.tar.gz": b"a source",
    "sample-4.0-py3-none-any.whl": WHEEL,
}


class Index:
    """A package index on the loopback; ``lies`` names files whose digests are wrong."""

    def __init__(self) -> None:
        self.lies: set[str] = set()
        self.n_requests = 0
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.n_requests += 1
                body = index.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "a/b")
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple/"

    def answer(self, path: str) -> bytes | None:
        if path == "/simple/sample/":
            links = []
            for name, content in FILES.items():
                said = b"something else" if name in self.lies else content
                links.append(
                    f'<a href="/files/{name}#sha256={hashlib.sha256(said).hexdigest()}">{name}</a>'
                )
            return "<br>".join(links).encode()
        return FILES.get(path.removeprefix("/files/"))


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    served = Index()
    thread = threading.Thread(target=served.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("PIP_INDEX_URL", served.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("CLIGYM_HOME", str(tmp_path / "home"))
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def leftovers() -> list[str]:
    return [path.name for path in fetch.downloads().rglob("*") if path.name.startswith(".making-")]


def test_a_wheel_is_fetched_once(index: Index) -> None:
    (path,) = fetch.wheels(("sample==1.0",))
    assert path.read_bytes() == WHEEL
    before = index.n_requests
    assert fetch.wheels(("Sample==1.0",)) == [path]
    assert index.n_requests == before
    assert leftovers() == []


def test_a_wrong_digest_of_the_index(index: Index) -> None:
    index.lies.add("sample-1.0-py3-none-any.whl")
    with pytest.raises(GoldError, match=r"sample 1\.0"):
        fetch.wheels(("sample==1.0",))
    assert list((fetch.downloads() / "wheels").iterdir()) == []


def test_a_wheel_that_is_not_the_locks(index: Index) -> None:
    known = {"sample-1.0-py3-none-any.whl": "0" * 64}
    with pytest.raises(GoldError, match="which the lock names"):
        fetch.wheels(("sample==1.0",), known=known)


@pytest.mark.parametrize(
    ("pin", "said"),
    [
        ("absent==1.0", "no project 'absent'"),
        ("sample==9.0", "the index has 1.0, 2.0, 3.0, 4.0"),
        ("sample==2.0", "no wheel for Python 3.11"),
        ("sample==3.0", "no wheel for Python 3.11"),
    ],
)
def test_what_is_not_there(index: Index, pin: str, said: str) -> None:
    with pytest.raises(GoldError, match=said):
        fetch.wheels((pin,))


def test_an_index_that_does_not_answer(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as held:  # bound and not listening: nobody else can answer there meanwhile
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{held.getsockname()[1]}/simple/")
        with pytest.raises(ImageError, match="does not answer"):
            fetch.wheels(("sample==1.0",))
    assert leftovers() == []


def source(version: str, sha256: str) -> Source:
    return Source("pypi", "sample", version, sha256)


def test_a_source_is_checked_and_kept(index: Index) -> None:
    wanted = source("3.0", hashlib.sha256(b"a source").hexdigest())
    archive = fetch.source(wanted, None, None)  # type: ignore[arg-type]
    assert archive.read_bytes() == b"a source"
    before = index.n_requests
    assert fetch.source(wanted, None, None) == archive  # type: ignore[arg-type]
    assert index.n_requests == before
    archive.write_bytes(b"touched")
    with pytest.raises(GoldError, match="the recipe says"):
        fetch.source(wanted, None, None)  # type: ignore[arg-type]


def test_a_source_with_another_sha256(index: Index) -> None:
    with pytest.raises(GoldError, match="the recipe says " + "0" * 64):
        fetch.source(source("3.0", "0" * 64), None, None)  # type: ignore[arg-type]
    assert [path for path in (fetch.downloads() / "sources").iterdir() if path.is_dir()] == []


def test_no_source_distribution(index: Index) -> None:
    with pytest.raises(GoldError, match="no source distribution"):
        fetch.source(source("1.0", "0" * 64), None, None)  # type: ignore[arg-type]


def test_the_tags_are_the_images() -> None:
    names = [str(tag) for tag in _pypi.target_tags()]
    assert names[0].startswith("cp311-cp311-manylinux_2_36_")
    assert "py3-none-any" in names
    assert not any("musllinux" in name or "cp312-cp312" in name for name in names)


def test_the_real_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIGYM_HOME", str(tmp_path))
    digest = "67f4b9c50da0dedf52af349e7749a80a9057a5031199791b906c3bb3ae878960"
    try:
        archive = fetch.source(Source("pypi", "iniconfig", "2.3.1", digest), None, None)  # type: ignore[arg-type]
        (wheel,) = fetch.wheels(("iniconfig==2.3.1",))
    except ImageError as error:
        pytest.skip(f"NO NETWORK, nothing was fetched: {error}")
    assert wheel.name == "iniconfig-2.3.1-py3-none-any.whl"
    content = _tar.of_source(archive, "/testbed", uid=1000)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert "testbed/pyproject.toml" in tar.getnames()


# ── a git repository ────────────────────────────────────────────────────────────────────────


def test_a_git_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    monkeypatch.setenv("CLIGYM_HOME", str(tmp_path / "home"))
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "code.py").write_text("x = 1\n")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", *words]
        done = subprocess.run(command, cwd=repository, env=environ, check=True, capture_output=True)
        return done.stdout.decode().strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    commit = git("rev-parse", "HEAD")
    (repository / "code.py").write_text("x = 2\n")
    git("commit", "--quiet", "-a", "-m", "two")
    archive = fetch.source(Source("git", f"file://{repository}", commit), None, None)  # type: ignore[arg-type]
    with tarfile.open(archive) as tar:
        assert tar.extractfile("source/code.py").read() == b"x = 1\n"
    with pytest.raises(ImageError, match="git"):
        fetch.source(Source("git", f"file://{repository}", "0" * 40), None, None)  # type: ignore[arg-type]

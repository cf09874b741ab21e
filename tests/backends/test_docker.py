"""What only the docker back end has: flags, first process, pool, reaper, the API without local files."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from cligym_env.backends import docker as docker_backend
from cligym_env.backends._docker import archive, engine, rooted
from cligym_env.backends._docker.pool import Pool
from cligym_env.backends._docker.stream import Stream
from cligym_env.core import Backend, Entry, Image, Limits
from cligym_env.errors import BackendUnavailableError, CligymError, ImageError, SandboxLostError, UsageError
from cligym_env.testing import CHECKS, Bench, run_check

PATIENCE_S = 400
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


def until(condition: Callable[[], object], about: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, about
        time.sleep(0.05)


@pytest.fixture(scope="module")
def shared(machines: Callable[[str], Backend]) -> docker_backend.DockerBackend:
    return machines("docker")


@pytest.fixture(scope="module")
def image(shared: docker_backend.DockerBackend, base_image: Callable[[Backend], Image]) -> Image:
    return base_image(shared)


@pytest.fixture
def backend(shared: docker_backend.DockerBackend) -> Iterator[docker_backend.DockerBackend]:
    """A back end of the test's own, without a pool."""
    made = docker_backend.create(pool_size=0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def api(shared: docker_backend.DockerBackend) -> Iterator:
    made = engine.connect()
    yield made
    made.close()


# ── the container ───────────────────────────────────────────────────────────────────────────


def test_flags_and_labels(backend, image, api) -> None:
    sandbox = backend.start(image, Limits(n_pids=77, memory_bytes=300 << 20, n_cpus=0.5))
    found = api.inspect_container(sandbox.container.id)
    host = found["HostConfig"]
    assert (host["NetworkMode"], host["PidsLimit"], host["NanoCpus"]) == ("none", 77, 500_000_000)
    assert (host["Memory"], host["MemorySwap"]) == (300 << 20, 300 << 20)
    assert host["CapDrop"] == ["ALL"]
    assert "SYS_ADMIN" not in " ".join(host["CapAdd"])
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["LogConfig"]["Type"], host["AutoRemove"], host["Privileged"]) == ("none", False, False)
    assert {limit["Name"] for limit in host["Ulimits"]} == {"core", "nofile", "fsize"}
    labels = found["Config"]["Labels"]
    assert not engine.owner_is_dead(labels)
    assert {engine.SESSION, engine.OWNER, engine.KIND, engine.DEADLINE} <= set(labels)


def test_first_process_cannot_be_killed_and_reaps(backend, image) -> None:
    sandbox = backend.start(image)
    sandbox.exec("for i in {1..40}; do (setsid sleep 0.1 &); done; sleep 0.5", timeout_s=300)
    states = "for f in /proc/[0-9]*/stat; do read -r line <$f && echo ${line##*) }; done 2>/dev/null"
    until(
        lambda: all(line[0] != "Z" for line in sandbox.exec(states, timeout_s=300).text.splitlines()),
        "zombies",
    )
    sandbox.exec("kill -9 1; kill -TERM 1; kill -STOP 1; kill -9 -1", timeout_s=300)
    assert sandbox.exec("echo alive", timeout_s=300).text == "alive\n"


def test_deadline_when_orders_to_the_first_process_are_stolen(backend, image) -> None:
    sandbox = backend.start(image)
    sandbox.write("/srv/kept", b"kept")
    result = sandbox.exec("cat /proc/1/fd/0 >/dev/null & sleep 600", timeout_s=1)
    assert result.timed_out
    assert sandbox.exec("cat /srv/kept", timeout_s=300).text == "kept"


def test_freeze_while_the_first_process_is_flooded(backend, image) -> None:
    sandbox = backend.start(image)
    shell = sandbox.shell()
    shell.run("yes >/proc/1/fd/1 & yes & touch /srv/f", timeout_s=300)
    assert sandbox.freeze().entry("/srv/f").kind == "file"


def test_shell_comes_back_when_everything_new_is_killed(backend, image) -> None:
    sandbox = backend.start(image)
    shell = sandbox.shell()
    daemon = "perl -MPOSIX -e 'exit if fork; setsid; kill 9, -1 while 1'"
    shell.run(f"touch /srv/f; {daemon}; sleep 5", timeout_s=300)
    for _ in range(3):
        try:
            result = shell.run("ls /srv", timeout_s=300)
        except CligymError:
            continue
        if result.exit_code == 0:
            break
    assert result.text == "f\n"


def test_fork_bomb_without_an_end_is_ended_by_the_deadline(backend, image) -> None:
    sandbox = backend.start(image, Limits(n_pids=64))
    assert sandbox.exec("f() { f & f & }; f 2>/dev/null; sleep 600", timeout_s=2).timed_out
    assert sandbox.exec("echo alive", timeout_s=300).text == "alive\n"


def test_container_killed_from_outside(backend, image, api) -> None:
    sandbox = backend.start(image)
    shell = sandbox.shell()
    api.remove_container(sandbox.container.id, force=True)
    for call in (
        lambda: shell.run("true", timeout_s=300),
        lambda: sandbox.exec("true", timeout_s=300),
        lambda: sandbox.read("/etc/passwd"),
        sandbox.freeze,
        sandbox.commit,
    ):
        with pytest.raises(SandboxLostError):
            call()
    sandbox.close()


# ── the API alone ───────────────────────────────────────────────────────────────────────────


def test_api_snapshot_says_what_the_layers_say(shared, backend, image) -> None:
    sandbox = backend.start(image)
    sandbox.exec(
        "cd /srv; printf x > f; chown 5:6 f; ln -s /etc l; mkdir -m 700 d; mkfifo d/p; "
        "chmod 600 /etc/passwd; rm /etc/shadow; rm -rf /etc/skel; mkdir /etc/skel; touch /etc/skel/new",
        timeout_s=300,
    )
    near = sandbox.freeze()
    sandbox.container.engine._direct = False
    far = sandbox.freeze()
    assert type(near) is not type(far) or os.geteuid()
    changes, others = near.changes(), far.changes()

    def kinds_of(found: Mapping[str, Entry]) -> dict[str, str]:
        # What a folder that was made again hides is listed by one of them, and implied by the other.
        hidden = ("/etc/skel/.bash_logout", "/etc/skel/.bashrc", "/etc/skel/.profile")
        return {
            path: entry.kind for path, entry in found.items() if entry.kind != "dir" and path not in hidden
        }

    kinds = kinds_of(changes)
    assert kinds_of(others) == kinds
    for path in (*kinds, "/etc/skel", "/srv/d", "/srv/l/passwd", "/usr/bin/bash"):
        assert far.entry(path) == near.entry(path) or path == "/etc/skel"
    assert far.read("/etc/passwd") == near.read("/etc/passwd")


@pytest.mark.parametrize(
    "name",
    [
        *("file_round_trip", "file_missing", "file_links", "file_write_hostile_links", "put_states"),
        *("put_replaces", "put_removes", "put_hostile", "put_removes_through_no_link", "changes_of_states"),
        *("changes_of_kind", "changes_opaque", "entry_follows_no_link", "snapshot_read", "hog_of_disk"),
        *("shell_state", "shell_kill_itself", "shell_closed_descriptors", "shell_output_long_line"),
        *("deadline_of_list", "deadline_of_stopped", "background_outlives_shell", "shell_close"),
    ],
)
def test_conformance_over_the_api_alone(name, shared, image) -> None:
    backend = docker_backend.create(direct=False)
    try:
        check = next(check for check in CHECKS if check.name == name)
        run_check(check, Bench(backend, image))
    finally:
        backend.close()


# ── the pool ────────────────────────────────────────────────────────────────────────────────


def test_pool_hands_out_what_is_ready(image, shared, api) -> None:
    backend = docker_backend.create(pool_size=2)
    try:
        assert backend.prepare(image, 2, timeout_s=PATIENCE_S) == 2
        session = backend._works().engine.session
        ready = {found["Id"] for found in api.containers(filters={"label": f"{engine.SESSION}={session}"})}
        first, second = backend.start(image), backend.start(image)
        assert {first.container.id, second.container.id} <= ready
        assert first.container.id != second.container.id
    finally:
        backend.close()
    ours = {"label": f"{engine.SESSION}={session}", "id": list(ready)}
    until(lambda: not api.containers(all=True, filters=ours), "none is left")


def test_ready_shell_is_used_only_in_an_untouched_sandbox(image, shared) -> None:
    backend = docker_backend.create(pool_size=1)
    try:
        backend.start(image).shell(cwd="/usr", environ={"PATH": "/usr/bin", "X": "1"})
        backend.prepare(image, 1, timeout_s=PATIENCE_S)
        for wish in (
            {"cwd": "/usr", "environ": {"PATH": "/usr/bin", "X": "1"}},
            {"cwd": "/tmp", "user": "nobody"},
        ):
            sandbox = backend.start(image)
            result = sandbox.shell(**wish).run('pwd; echo "$X"; id -un', timeout_s=300)
            assert result.text == ("/usr\n1\nroot\n" if "environ" in wish else "/tmp\n\nnobody\n")
            backend.prepare(image, 1, timeout_s=PATIENCE_S)
        sandbox = backend.start(image)
        sandbox.exec("rm -r /lib64", timeout_s=300)
        with pytest.raises(CligymError):  # a new bash finds no loader: nothing old may hide that
            sandbox.shell(cwd="/usr", environ={"PATH": "/usr/bin", "X": "1"})
    finally:
        backend.close()


def test_pool_forgets_the_oldest_and_disposes_of_all() -> None:
    made: list[str] = []
    dropped: list[str] = []

    def make(key: tuple[Image, Limits]) -> str:
        made.append(key[0].ref)
        return key[0].ref

    pool = Pool(make, dropped.append, lambda one: True, 1)
    keys = [(Image("docker", str(number)), Limits()) for number in range(6)]
    assert pool.take(keys[0]) is None
    assert not made  # once is not repeatedly
    for key in keys:
        pool.prepare(key, 1, PATIENCE_S)
    until(lambda: set(dropped) >= {"0", "1"}, "the oldest are dropped")
    assert pool.take(keys[5]) == "5"
    pool.close()
    until(lambda: sorted([*dropped, "5"]) == sorted(made), "all are dropped")


def test_pool_gives_no_spoiled_one_and_survives_failures() -> None:
    numbers = iter(range(100))

    def make(key: tuple[Image, Limits]) -> int:
        number = next(numbers)
        if number == 0:
            raise SandboxLostError("no")
        return number

    dropped: list[int] = []
    pool = Pool(make, dropped.append, lambda number: number > 1, 1)
    key = (Image("docker", "x"), Limits())
    pool.prepare(key, 1, PATIENCE_S)  # fails
    assert pool.prepare(key, 1, PATIENCE_S) == 1
    assert pool.take(key) != 1
    assert dropped[:1] == [1]
    pool.close()


# ── owners ──────────────────────────────────────────────────────────────────────────────────

_OWNER = """
import sys
from cligym_env.backends.docker import create
from cligym_env.core import Image
backend = create(pool_size=2)
image = Image("docker", sys.argv[1])
backend.prepare(image, 2)
one, other = backend.start(image), backend.start(image)
other.exec("touch /srv/f", timeout_s=300)
made = other.commit()
print(backend._works().engine.session, made.ref, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None], ids=str)
def test_nothing_is_left_of_an_owner_that_ends(end, image, api) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER, image.ref], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    session, made = process.stdout.readline().split()
    ours = {"label": f"{engine.SESSION}={session}"}
    assert api.containers(filters=ours)
    if end:
        process.send_signal(end)
    process.communicate()
    until(lambda: not api.containers(all=True, filters=ours), "containers of a dead owner")
    until(
        lambda: made not in [found["Id"] for found in api.images(filters=ours)], "its image without a name"
    )


def test_sweep_tells_dead_owners_from_living_ones(backend, image, api) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    host = engine.owner_of_this_process().split(" ")[0]
    now = int(time.time())
    owners = {
        "dead": (f"{host} {dead.pid} 1", now + 1000),
        "reused": (f"{host} {os.getpid()} 1", now + 1000),
        "alive": (engine.owner_of_this_process(), now - 1000),
        "elsewhere": ("other/machine/1 1 1", now + 1000),
        "late": ("other/machine/1 1 1", now - 1000),
    }
    made = {}
    try:
        for name, (owner, deadline) in owners.items():
            labels = {
                engine.KIND: "sandbox",
                engine.OWNER: owner,
                engine.DEADLINE: str(deadline),
                engine.SESSION: "test",
            }
            made[name] = api.create_container(image.ref, ["true"], labels=labels)["Id"]
        backend.sweep()  # what it counts is left open: other tests' sweeps find the same containers

        def left() -> set[str]:
            there = {found["Id"] for found in api.containers(all=True)}
            return {name for name, found in made.items() if found in there}

        until(lambda: left() == {"alive", "elsewhere"}, "only those of dead owners are removed")
    finally:
        for found in made.values():
            engine.Engine(session="test").remove_container(found)


def test_images_without_a_name_go_with_the_back_end(image, shared, api) -> None:
    backend = docker_backend.create(pool_size=0)
    kept = f"cligym/test-docker:{os.getpid()}"
    refs = []
    for name in (kept, ""):
        sandbox = backend.start(image)
        sandbox.exec(f"echo '{name}' > /srv/f", timeout_s=300)
        refs.append(sandbox.commit().ref)
        if name:
            backend.tag(Image("docker", refs[-1]), name)
    backend.close()
    try:
        found = {one["Id"] for one in api.images()} | {one["Id"] for one in api.images(all=True)}
        assert [ref in found for ref in refs] == [True, False]
        assert shared.find(kept) == Image("docker", refs[0])
    finally:
        api.remove_image(kept)


def test_forked_copy_leaves_its_parents_sandboxes_alone(image, shared) -> None:
    code = """
import os, sys
from cligym_env.backends.docker import create
from cligym_env.core import Image
backend = create(pool_size=0)
image = Image("docker", sys.argv[1])
sandbox = backend.start(image)
shell = sandbox.shell()
pid = os.fork()
if not pid:
    sandbox.close()
    mine = backend.start(image)
    print("child", mine.exec("echo alive", timeout_s=300).text, end="", flush=True)
    backend.close()
    os._exit(0)
os.waitpid(pid, 0)
print("parent", shell.run("echo alive", timeout_s=300).text, end="", flush=True)
print("parent", sandbox.exec("echo alive", timeout_s=300).text, end="", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, image.ref], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == "child alive\nparent alive\nparent alive\n"


def test_sandbox_nobody_holds_is_removed(backend, image, api) -> None:
    sandbox = backend.start(image)
    name = sandbox.container.id
    del sandbox
    gc.collect()
    until(lambda: not api.containers(all=True, filters={"id": name}), "a sandbox that was dropped")


# ── the engine ──────────────────────────────────────────────────────────────────────────────


class _Relay(socketserver.ThreadingUnixStreamServer):
    """A socket before the engine's, which can go away as an engine does."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        self.pairs: list[socket.socket] = []
        super().__init__(path, _Pipe)

    def cut(self) -> None:
        self.shutdown()
        self.server_close()
        os.unlink(str(self.server_address))
        for end in self.pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class _Pipe(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        there = socket.socket(socket.AF_UNIX)
        there.connect(SOCKET)
        self.server.pairs += [self.request, there]
        back = threading.Thread(target=self._copy, args=(there, self.request), daemon=True)
        back.start()
        self._copy(self.request, there)
        back.join()
        there.close()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_engine_that_goes_away_in_mid_episode(image, shared, api, tmp_path) -> None:
    if not os.path.exists(SOCKET):
        pytest.skip("the engine does not listen at a socket of this machine")
    relay = _Relay(str(tmp_path / "docker.sock"))
    threading.Thread(target=relay.serve_forever, daemon=True).start()
    backend = docker_backend.create(f"unix://{tmp_path}/docker.sock", pool_size=0)
    sandbox = backend.start(image)
    name = sandbox.container.id
    try:
        shell = sandbox.shell()
        assert shell.run("echo alive", timeout_s=300).text == "alive\n"
        relay.cut()
        # Its first process ends with the line to it, so nothing runs on where nobody can reach it.
        until(lambda: not api.containers(filters={"id": name}), "the container stops by itself")
        for call in (
            lambda: shell.run("true", timeout_s=300),
            lambda: sandbox.exec("true", timeout_s=300),
            sandbox.freeze,
        ):
            with pytest.raises(SandboxLostError, match=r"engine|gone"):
                call()
        with pytest.raises(BackendUnavailableError):
            docker_backend.create(f"unix://{tmp_path}/docker.sock").start(image)
        sandbox.close()
        backend.close()
    finally:
        engine.Engine(session="test").remove_container(name)


@pytest.mark.parametrize(
    ("where", "way_out"),
    [
        ("unix:///nonexistent/docker.sock", "install Docker Engine"),
        ("tcp://127.0.0.1:1", "DOCKER_HOST"),
        ("ssh://somewhere", "forward the socket"),
    ],
)
def test_no_engine_says_what_helps(where, way_out) -> None:
    backend = docker_backend.create(where)
    assert way_out in " ".join(backend.problems())
    with pytest.raises(BackendUnavailableError, match=way_out):
        backend.start(Image("docker", "x"))
    backend.close()


@pytest.mark.parametrize(
    ("version", "word"),
    [
        ({"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}, "podman"),
        ({"ApiVersion": "1.30", "Version": "17.06"}, "too old"),
        ({"ApiVersion": "1.41", "Os": "windows"}, "Linux containers"),
    ],
)
def test_engine_that_does_not_serve_is_refused(version, word, tmp_path) -> None:
    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            body = json.dumps({"Os": "linux", "MinAPIVersion": "1.12", **version}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            self.wfile.write(f"{head}Connection: close\r\n\r\n".encode() + body)

    path = str(tmp_path / "engine.sock")
    with socketserver.ThreadingUnixStreamServer(path, Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert word in " ".join(docker_backend.create(f"unix://{path}").problems())
        server.shutdown()


def test_closed_back_end_and_foreign_images_are_refused(shared, image) -> None:
    backend = docker_backend.create()
    with pytest.raises(ImageError):
        backend.start(Image("embedded", image.ref))
    with pytest.raises(ImageError):
        backend.start(Image("docker", "sha256:" + "0" * 64))
    for name in ("", "UPPER", "a b", "x:", "-x", "a//b"):
        with pytest.raises(UsageError):
            backend.find(name)
    backend.close()
    with pytest.raises(BackendUnavailableError):
        backend.start(image)


# ── parts that need no engine ───────────────────────────────────────────────────────────────


class _Response:
    """As much of a hijacked answer as a stream needs."""

    def __init__(self, end: socket.socket) -> None:
        self.raw = self
        self._fp = self
        self.fp = end.makefile("rb")


class _Api:
    def _raise_for_status(self, response: object) -> None:
        pass


def test_stream_takes_frames_apart_wherever_they_are_cut() -> None:
    ours, theirs = socket.socketpair()
    payload = [b"one", b"", b"two" * 5000, b"\x01\x00\x00\x00"]
    data = b"".join(b"\x01\0\0\0" + len(piece).to_bytes(4, "big") + piece for piece in payload)
    stream = Stream(_Api(), _Response(ours))
    found = b""
    for at in range(0, len(data), 7):
        theirs.sendall(data[at : at + 7])
        found += stream.recv(0.0) or b""
    theirs.close()
    while piece := stream.recv(60):
        found += piece
    assert found == b"".join(payload)
    assert stream.recv(0) == b""
    stream.close()
    stream.close()


def test_stream_closed_by_another_thread_ends_a_wait() -> None:
    ours, theirs = socket.socketpair()
    stream = Stream(_Api(), _Response(ours))
    assert stream.recv(0.01) is None
    threading.Timer(0.2, stream.close).start()
    assert stream.recv(PATIENCE_S) == b""
    theirs.close()


def test_paths_below_a_root_never_leave_it(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "f").write_text("outside")
    (root / "srv/d").mkdir(parents=True)
    (root / "srv/d/f").write_text("inside")
    for name, target in {
        "up": f"../../../../../..{outside}",
        "abs": str(outside),
        "rel": "srv/d",
        "loop": "loop",
        "dot": "/srv/./d/../d//f",
    }.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    for path in ("/srv/d/f", "srv/../srv/d/f", "/rel/f", "/dot", "/rel/../d/f", "/../../srv/d/f"):
        assert rooted.read(str(root), path, 100) == b"inside", path
    for path in ("/up/f", "/abs/f", "/loop", "/pipe", "/srv", "/none", "/srv/d/f/x", "/"):
        with pytest.raises(FileNotFoundError):
            rooted.read(str(root), path, 100)
    with pytest.raises(OverflowError):
        rooted.read(str(root), "/srv/d/f", 5)
    for path in ("/up/f", "/abs/f", "/abs", "/up", "/none", "/rel/f", "/srv"):
        rooted.remove(str(root), path)
    assert (outside / "f").read_text() == "outside"
    assert sorted(os.listdir(root)) == ["dot", "loop", "pipe", "rel"]


def test_archives_are_rewritten_to_where_members_belong() -> None:
    stands = {
        "/usr": ("dir", ""),
        "/usr/bin": ("dir", ""),
        "/bin": ("link", "usr/bin"),
        "/f": ("other", ""),
    }

    def tar(*names: str, kind: bytes = tarfile.REGTYPE) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as made:
            for name in names:
                member = tarfile.TarInfo(name)
                member.type = tarfile.DIRTYPE if name.endswith("/") else kind
                member.linkname = "target"
                made.addfile(member)
        return stream.getvalue()

    def names(data: bytes) -> list[str]:
        found = archive.rewritten(data, lambda path: stands.get(path, ("absent", "")))
        return tarfile.open(fileobj=io.BytesIO(found)).getnames()

    assert names(tar("bin/x", "./", "bin/../etc".replace("../", ""))) == ["usr/bin/x", "usr/bin/etc"]
    assert names(tar("a/b/c")) == ["a", "a/b", "a/b/c"]
    assert names(tar("f/x")) == ["f", "f/x"]
    assert names(tar("bin/", "bin/x")) == ["bin", "bin/x"]
    for bad in (tar("../x"), tar("a/../../x"), b"no tar at all"):
        with pytest.raises(UsageError):
            names(bad)
    below = io.BytesIO()
    with tarfile.open(fileobj=below, mode="w") as made:
        link = tarfile.TarInfo("l")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        made.addfile(link)
        made.addfile(tarfile.TarInfo("l/x"))
    with pytest.raises(UsageError):
        names(below.getvalue())

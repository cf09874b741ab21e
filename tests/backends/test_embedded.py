"""What the embedded back end does beyond the common contract: its walls, its store, its crashes."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cligym_env
from cligym_env import files, plugins
from cligym_env.backends.embedded import EmbeddedBackend
from cligym_env.core import Image, Limits
from cligym_env.errors import (
    BackendUnavailableError,
    ImageError,
    SandboxError,
    SandboxLostError,
    UsageError,
)

LONG_S = 300.0
PROGRAMS = (
    "bash cat chmod chown dd df id kill ln ls mkdir mv ps rm setsid sh sleep stat su touch true unshare"
)


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = 300.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, f"not within {limit_s:.0f} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar with a handful of this host's programs and the libraries they load."""
    path = tmp_path_factory.mktemp("rootfs") / "rootfs.tar"
    files: set[str] = set()
    for name in PROGRAMS.split():
        program = shutil.which(name)
        assert program, name
        files.add(program)
        listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=False).stdout
        files |= set(re.findall(r"(/\S+) \(0x", listed))
    with tarfile.open(path, "w") as tar:
        for link, target in (
            ("bin", "usr/bin"),
            ("lib", "usr/lib"),
            ("lib64", "usr/lib64"),
            ("sbin", "usr/sbin"),
        ):
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        for file in sorted(files):
            place = re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", file)
            info = tar.gettarinfo(os.path.realpath(file), arcname=place)
            info.uid = info.gid = 0
            info.mode = 0o755
            with open(file, "rb") as stream:
                tar.addfile(info, stream)
        add(tar, "etc/passwd", b"root:x:0:0::/root:/bin/bash\ndev:x:1000:1000::/home/dev:/bin/bash\n")
        add(tar, "etc/group", b"root:x:0:\ndev:x:1000:\nextra:x:2000:dev\n")
        folder(tar, "home/dev", uid=1000)
        folder(tar, "root", mode=0o700)
        folder(tar, "old")
        add(tar, "old/a", b"a")
        add(tar, "old/b", b"b")
        device = tarfile.TarInfo("dev-null")
        device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
        tar.addfile(device)
    path.chmod(0o644)
    return path


def add(tar: tarfile.TarFile, name: str, data: bytes, *, uid: int = 0, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.uid, info.gid, info.mode, info.mtime = len(data), uid, uid, mode, 1_000_000_000
    tar.addfile(info, io.BytesIO(data))


def folder(tar: tarfile.TarFile, name: str, *, uid: int = 0, mode: int = 0o755) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.uid, info.gid, info.mode = tarfile.DIRTYPE, uid, uid, mode
    tar.addfile(info)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBackend]:
    made: EmbeddedBackend = plugins.create("backends", "embedded", home=tmp_path_factory.mktemp("home"))
    problems = made.problems()
    if problems:
        required = os.environ.get("CLIGYM_TEST_REQUIRES", "").split()
        (pytest.fail if "embedded" in required else pytest.skip)(f"embedded does not work here: {problems}")
    yield made
    made.close()
    assert not [path for path in (made.store.root / "sandboxes").iterdir() if path.name != ".lock"]


@pytest.fixture(scope="module")
def image(backend: EmbeddedBackend, rootfs: Path) -> Image:
    return backend.load(rootfs, "tiny")


# ── walls ───────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_mounted_on_the_host(backend: EmbeddedBackend, image: Image) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        assert sandbox.id not in Path("/proc/self/mountinfo").read_text()
        assert sandbox.exec("echo inside", timeout_s=LONG_S).output == b"inside\n"


def test_capabilities_are_few_and_stay_so(backend: EmbeddedBackend, image: Image) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        for user in ("root", "dev") if not backend.single_id else ("root",):
            status = sandbox.exec(["/bin/cat", "/proc/self/status"], timeout_s=LONG_S, user=user).text
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            assert int(fields["CapBnd"], 16) == 0x800404FB
            assert int(fields["CapEff"], 16) == (0x800404FB if user == "root" else 0)
            assert fields["NoNewPrivs"] == "1"
            assert fields["Seccomp"] == "2"


@pytest.mark.parametrize(
    "command",
    [
        "unshare -U true",
        "unshare -m true",
        "echo 1 > /proc/sys/kernel/panic",
        "echo b > /proc/sysrq-trigger",
        "cat /proc/1/environ",
        "ls -lL /proc/1/fd/",
        "cat /proc/1/mem",
        "cat /proc/1/maps",
        "ls /proc/1/root/",
    ],
)
def test_what_is_denied(backend: EmbeddedBackend, image: Image, command: str) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        assert sandbox.exec(command, timeout_s=LONG_S).exit_code != 0


def test_pid_1_outlives_every_signal_from_inside(backend: EmbeddedBackend, image: Image) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        for name in ("HUP", "INT", "QUIT", "TERM", "KILL", "STOP", "SEGV", "CHLD", "PIPE", "USR1"):
            sandbox.exec(f"kill -{name} 1; kill -{name} -1; true", timeout_s=LONG_S)
        assert sandbox.exec("echo alive", timeout_s=LONG_S).output == b"alive\n"


def test_commands_inherit_no_descriptors(backend: EmbeddedBackend, image: Image) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        names = sandbox.exec(["/bin/ls", "/proc/self/fd"], timeout_s=LONG_S, stdin=b"x").text.split()
        assert names == ["0", "1", "2", "3"]  # the last is the folder itself


def test_a_new_shell_works_without_the_usual_devices(backend: EmbeddedBackend, image: Image) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        shell = sandbox.shell()
        assert shell.run(
            "rm -rf /dev/null /dev/fd /dev/stdin /dev/.cligym; exit", timeout_s=LONG_S
        ).restarted
        assert shell.run("cat; echo works", timeout_s=LONG_S).output == b"works\n"
        assert shell.run("# " + "x" * 10_000 + "\necho staged", timeout_s=LONG_S).output == b"staged\n"
        sandbox.exec("rm -rf /dev/.cligym; touch /dev/.cligym", timeout_s=LONG_S)
        assert shell.run("# " + "x" * 10_000, timeout_s=LONG_S).exit_code == 1
        assert sandbox.exec("true; # " + "x" * 200_000, timeout_s=LONG_S).exit_code not in (0, None)


def test_users_and_their_groups(backend: EmbeddedBackend, image: Image) -> None:
    if backend.single_id:
        pytest.skip("one id only")
    with contextlib.closing(backend.start(image)) as sandbox:
        assert sandbox.exec("id -u; id -G; cd ~; echo $PWD", timeout_s=LONG_S, user="dev").text.split() == [
            "1000",
            "1000",
            "2000",
            "/home/dev",
        ]
        assert sandbox.exec("id -u; id -g", timeout_s=LONG_S, user="7:8").text.split() == ["7", "8"]
        assert sandbox.exec("true", timeout_s=LONG_S, user="nobody-such").exit_code == 126
        sandbox.exec("rm /etc/passwd; mkdir /etc/passwd", timeout_s=LONG_S)
        assert sandbox.exec("true", timeout_s=LONG_S).exit_code == 0
        assert (
            sandbox.exec("echo > /dev/stdout; echo > /dev/stderr", timeout_s=LONG_S, user="7:8").exit_code
            == 0
        )


def test_a_sandbox_outlives_the_thread_that_made_it(backend: EmbeddedBackend, image: Image) -> None:
    made = []
    thread = threading.Thread(target=lambda: made.append(backend.start(image)))
    thread.start()
    thread.join()
    with contextlib.closing(made[0]) as sandbox:
        assert sandbox.exec("echo alive", timeout_s=LONG_S).output == b"alive\n"


def test_close_gives_every_descriptor_back(backend: EmbeddedBackend, image: Image) -> None:
    def live() -> None:
        with contextlib.closing(backend.start(image)) as sandbox:
            shell = sandbox.shell()
            shell.run("true", timeout_s=LONG_S)
            sandbox.exec("true", timeout_s=LONG_S, stdin=b"x")
            sandbox.read("/etc/passwd")
            sandbox.freeze().entry("/etc/passwd")

    live()
    gc.collect()
    before, n_lives = len(os.listdir("/proc/self/fd")), 8
    for _ in range(n_lives):
        live()
    # Other threads of this process open some, too: what is kept would be one of each life.
    wait_until(lambda: len(os.listdir("/proc/self/fd")) < before + n_lives, "descriptors are given back")


def test_closing_while_a_command_runs(backend: EmbeddedBackend, image: Image) -> None:
    sandbox = backend.start(image)
    shell = sandbox.shell()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            shell.run("sleep 1000", timeout_s=LONG_S)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.2)
    sandbox.close()
    thread.join(LONG_S)
    assert [isinstance(error, SandboxError) for error in raised] == [True]


# ── limits ──────────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_ends_what_fills_it_and_spares_what_makes_room(
    backend: EmbeddedBackend, image: Image
) -> None:
    with contextlib.closing(backend.start(image, Limits(disk_bytes=64 << 20))) as sandbox:
        shell = sandbox.shell()
        one = "dd if=/dev/zero of=/big$i bs=1M count=4 status=none"
        fill = f"for i in {{1..2000}}; do {one} || break; sleep 0.02; done"
        shell.run(fill, timeout_s=LONG_S)
        assert len(sandbox.exec("ls -d /big*", timeout_s=LONG_S).text.split()) < 2000, "nothing stopped it"
        result = shell.run("sleep 1; rm /big*; sleep 1; echo room", timeout_s=LONG_S)
        assert result.output == b"room\n"


def test_files_are_counted_at_any_depth(tmp_path: Path) -> None:
    from cligym_env.backends._embedded import quota

    here = tmp_path
    for _ in range(5):
        here = here / "x"
        here.mkdir()
        (here / "f").write_bytes(b"x" * 10_000)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert quota.count(descriptor, stop_at=1 << 40) >= 50_000
    finally:
        os.close(descriptor)


# ── the store ───────────────────────────────────────────────────────────────────────────────


def test_load_keeps_owners_and_leaves_devices_out(backend: EmbeddedBackend, image: Image) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        snapshot = sandbox.freeze()
        assert snapshot.entry("/dev-null").kind == "absent"
        assert snapshot.entry("/root").mode == 0o700
        assert snapshot.entry("/bin").target == "usr/bin"
        if not backend.single_id:
            assert snapshot.entry("/home/dev").uid == 1000
        assert snapshot.changes() == {}


@pytest.mark.parametrize("target", ["/tmp", "../../../../../../../../tmp"])
def test_no_member_gets_out_of_the_root(backend: EmbeddedBackend, tmp_path: Path, target: str) -> None:
    archive = tmp_path / "evil.tar"
    name = f"cligym-evil-{os.getpid()}"
    with tarfile.open(archive, "w") as tar:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, target
        tar.addfile(link)
        add(tar, f"way/{name}", b"out")
        add(tar, f"../../../../../tmp/{name}", b"out")
    loaded = backend.load(archive, "evil")
    assert not Path("/tmp", name).exists()
    fs = backend.store.root / "layers" / loaded.ref / "fs"
    assert (fs / "tmp" / name).read_bytes() == b"out"


def test_what_is_no_tar_leaves_nothing(backend: EmbeddedBackend, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no tar at all" * 1000)
    before = sorted(path.name for path in (backend.store.root / "layers").iterdir())
    with pytest.raises(ImageError):
        backend.load(tmp_path / "x", "x")
    with pytest.raises(ImageError):
        backend.load(tmp_path / "missing", "x")
    assert backend.find("x") is None
    assert sorted(path.name for path in (backend.store.root / "layers").iterdir()) == before


def test_images_that_are_not_here(backend: EmbeddedBackend) -> None:
    for image in (
        Image("docker", "x"),
        Image("embedded", "0" * 16),
        Image("embedded", "../.."),
        Image("embedded", ""),
    ):
        with pytest.raises(ImageError):
            backend.start(image)
        with pytest.raises(ImageError):
            backend.tag(image, "name")
    assert backend.find("never heard of") is None


def test_changes_tell_deletions_and_opaque_folders(backend: EmbeddedBackend, image: Image) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        sandbox.exec(
            "rm /old/a; mv /old /moved; mkdir /old; rm /etc/group; chmod 700 /home", timeout_s=LONG_S
        )
        changes = sandbox.freeze().changes()
    assert list(changes) == ["/etc/group", "/home", "/moved", "/moved/b", "/old"]
    assert changes["/etc/group"].kind == "absent"
    assert changes["/old"].opaque
    assert changes["/home"].mode == 0o700


def test_a_path_longer_than_any_call_takes(backend: EmbeddedBackend, image: Image) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        name = "d" * 200
        deep = f"for i in {{1..40}}; do mkdir {name}; cd {name}; done; touch end; ls"
        assert sandbox.shell(cwd="/").run(deep, timeout_s=LONG_S).output == b"end\n"
        snapshot = sandbox.freeze()
        paths = list(snapshot.changes())
        assert len(paths) == 41
        assert len(paths[-1]) > 8000
        assert snapshot.entry(paths[-1]).kind == "file"
        with pytest.raises(OverflowError):
            snapshot.changes(max_paths=40)


def test_a_commit_of_a_commit(backend: EmbeddedBackend, image: Image) -> None:
    for number in range(3):
        with contextlib.closing(backend.start(image)) as sandbox:
            sandbox.write(f"/layer{number}", b"%d" % number)
            sandbox.exec("rm -rf /old", timeout_s=LONG_S)
            image = sandbox.commit()
            assert sandbox.commit() == image
            assert sandbox.freeze().read(f"/layer{number}") == b"%d" % number
    with contextlib.closing(backend.start(image)) as sandbox:
        assert sandbox.exec("cat /layer?; ls /old", timeout_s=LONG_S).text.startswith("012")
        assert not sandbox.freeze().changes()


# ── files ───────────────────────────────────────────────────────────────────────────────────


def test_reads_go_to_regular_files_only(backend: EmbeddedBackend, image: Image) -> None:
    with contextlib.closing(backend.start(image)) as sandbox:
        sandbox.exec(
            "ln -s /proc/self/fd/0 /a; ln -s /dev/zero /b; ln -s /c /c; ln -s / /d", timeout_s=LONG_S
        )
        for path in ("/a", "/b", "/c", "/d", "/nothing", "/etc/passwd/x"):
            with pytest.raises(FileNotFoundError):
                sandbox.read(path)
        with pytest.raises(UsageError):
            sandbox.read("relative")
        with pytest.raises(UsageError):
            sandbox.put(b"no tar")


# ── crashes ─────────────────────────────────────────────────────────────────────────────────

CLIENT = """
    import os, sys, time
    from pathlib import Path
    from cligym_env import plugins
    backend = plugins.create("backends", "embedded", home=Path(sys.argv[1]))
    image = backend.find("tiny")
    sandboxes = [backend.start(image) for _ in range(3)]
    for sandbox in sandboxes:
        sandbox.shell().run("setsid sleep 1234.5 & true", timeout_s=300)
    print(os.getpid(), flush=True)
    {then}
"""


def start_client(backend: EmbeddedBackend, then: str) -> subprocess.Popen[str]:
    script = textwrap.dedent(CLIENT).replace("{then}", then)
    command = [sys.executable, "-c", script, str(backend.store.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def sandboxes(backend: EmbeddedBackend, *, other_than: set[str]) -> set[str]:
    names = {path.name for path in (backend.store.root / "sandboxes").iterdir() if path.name != ".lock"}
    return names - other_than


def processes_of(owner: str) -> list[str]:
    """Processes whose root or mounts are those of the owner's sandboxes."""
    found = []
    for folder_ in Path("/proc").iterdir():
        if folder_.name.isdigit():
            with contextlib.suppress(OSError):
                if owner in (folder_ / "mountinfo").read_text():
                    found.append(folder_.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_a_killed_client(backend: EmbeddedBackend, image: Image, number: int) -> None:
    before = sandboxes(backend, other_than=set())
    client = start_client(backend, "time.sleep(1000)")
    (owner,) = sandboxes(backend, other_than=before)
    assert processes_of(owner)
    client.send_signal(number)
    client.communicate()
    wait_until(lambda: not processes_of(owner), "no process is left")
    wait_until(lambda: not sandboxes(backend, other_than=before), "no folder is left")


def test_a_fork_of_the_client_does_not_keep_its_sandboxes(backend: EmbeddedBackend, image: Image) -> None:
    before = sandboxes(backend, other_than=set())
    client = start_client(backend, "os.fork(); time.sleep(1000)")
    (owner,) = sandboxes(backend, other_than=before)
    children = Path(f"/proc/{client.pid}/task/{client.pid}/children")
    wait_until(lambda: bool(children.read_text().split()), "it has forked")
    fork = int(children.read_text().split()[-1])
    try:
        client.kill()
        client.wait()
        wait_until(lambda: not sandboxes(backend, other_than=before), "no folder is left")
        wait_until(lambda: not processes_of(owner), "no process is left")
    finally:
        os.kill(fork, signal.SIGKILL)
        client.communicate()


def test_the_end_of_the_interpreter_clears_up(backend: EmbeddedBackend, image: Image) -> None:
    before = sandboxes(backend, other_than=set())
    client = start_client(backend, "sys.exit(0)")
    client.communicate()
    assert client.returncode == 0
    wait_until(lambda: not sandboxes(backend, other_than=before), "no folder is left")


def zygote_of(backend: EmbeddedBackend, owner: str) -> int:
    """The process that holds the lock of an owner's folder, by the kernel's list of locks."""
    inode = (backend.store.root / "sandboxes" / owner / "lock").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "POSIX" and fields[5].endswith(f":{inode}"):
            return int(fields[4])
    raise AssertionError("nobody holds the lock")


def test_a_killed_zygote_takes_all_with_it_and_a_sweep_the_rest(
    backend: EmbeddedBackend, image: Image
) -> None:
    before = sandboxes(backend, other_than=set())
    then = "sys.stdin.readline(); print([type(e) for e in [0]]); time.sleep(1000)"
    client = start_client(backend, then)
    (owner,) = sandboxes(backend, other_than=before)
    assert backend.sweep() == 0, "a live owner's"
    os.kill(zygote_of(backend, owner), signal.SIGKILL)
    wait_until(lambda: not processes_of(owner), "no process is left")
    client.kill()
    client.communicate()
    assert backend.sweep() == 3
    assert not sandboxes(backend, other_than=before)
    assert backend.sweep() == 0


def test_a_lost_zygote_is_an_error_and_the_next_start_makes_another(rootfs: Path, tmp_path: Path) -> None:
    backend = plugins.create("backends", "embedded", home=tmp_path)
    try:
        image = backend.load(rootfs, "tiny")
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    sandbox = backend.start(image)
    shell = sandbox.shell()
    (owner,) = sandboxes(backend, other_than=set())
    os.kill(zygote_of(backend, owner), signal.SIGKILL)
    wait_until(lambda: not processes_of(owner), "no process is left")
    for call in (
        lambda: shell.run("true", timeout_s=LONG_S),
        lambda: sandbox.exec("true", timeout_s=LONG_S),
        lambda: sandbox.read("/etc/passwd"),
        lambda: sandbox.write("/x", b""),
    ):
        with pytest.raises(SandboxLostError):
            call()
    sandbox.close()
    with contextlib.closing(backend.start(image)) as another:
        assert another.exec("echo again", timeout_s=LONG_S).output == b"again\n"
        assert owner not in sandboxes(backend, other_than=set())
    backend.close()
    backend.close()


def test_a_forked_client_gets_a_zygote_of_its_own(backend: EmbeddedBackend, image: Image) -> None:
    # In a process of its own: a fork of this one might copy a lock that another thread holds.
    script = """
    import os, sys
    from pathlib import Path
    from cligym_env import plugins
    backend = plugins.create("backends", "embedded", home=Path(sys.argv[1]))
    image = backend.find("tiny")
    sandbox = backend.start(image)
    pid = os.fork()
    if not pid:
        own = backend.start(image)
        print("child", own.exec("echo own", timeout_s=300).text, end="", flush=True)
        own.close()
        backend.close()
        os._exit(0)
    os.waitpid(pid, 0)
    print("parent", sandbox.exec("echo mine", timeout_s=300).text, end="", flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(backend.store.root)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "child own\nparent mine\n"


# ── as an ordinary user ─────────────────────────────────────────────────────────────────────

ORDINARY = """
    import sys, types
    from pathlib import Path
    package = types.ModuleType("cligym_env")  # a bare interpreter: without what others need
    package.__path__ = [sys.argv[1]]
    sys.modules["cligym_env"] = package
    from cligym_env import plugins
    from cligym_env.core import Limits
    from cligym_env.errors import ShellLostError
    backend = plugins.create("backends", "embedded", home=Path(sys.argv[2]))
    problems = backend.problems()
    if problems:
        sys.exit("PROBLEM " + problems[0])
    image = backend.load(Path(sys.argv[3]), "tiny")
    print("single", backend.single_id)
    sandbox = backend.start(image, Limits(n_pids=40))
    print("root", sandbox.exec("id -u", timeout_s=300).text.strip())
    print("dev", sandbox.exec("id -u", timeout_s=300, user="dev").text.strip())
    shell = sandbox.shell()
    print("own", shell.run("touch /f; chown dev /f 2>/dev/null; stat -c %u /f", timeout_s=300).text.strip())
    shell.run("rm /old/a; rm -r /old; mkdir /old", timeout_s=300)
    bomb = "bomb() { bomb | bomb & }; bomb; sleep 20; sleep 20"
    shell.run(bomb, timeout_s=3)
    words = []
    while words[-1:] != ["bomb"]:  # bash may complain of the bomb, or go with it, before it is over
        try:
            words = shell.run("echo bomb", timeout_s=300).text.split()
        except ShellLostError:
            continue
    print("after", words[-1])
    changes = sandbox.freeze().changes()
    print("opaque", changes["/old"].opaque)
    committed = sandbox.commit()
    sandbox.close()
    sandbox = backend.start(committed)
    print("committed", sandbox.exec("ls /f /old", timeout_s=300).text.split())
    sandbox.close()
    backend.close()
    print("left", [p.name for p in (Path(sys.argv[2]) / "sandboxes").iterdir() if p.name != ".lock"])
"""


USERS = Path(tempfile.gettempdir()) / "cligym-test-users.lock"
"""Who makes users; the tables of users are one for all test processes."""


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bool, Path], str]]:
    """Run the script as a fresh user, with or without subordinate ids."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    if not all(map(shutil.which, ("useradd", "runuser", "newuidmap"))):
        pytest.skip("needs useradd, runuser and newuidmap")
    made: list[str] = []

    def run(with_ids: bool, rootfs: Path) -> str:
        name = f"cligym-{os.getpid() % 100_000}-{len(made)}"
        with files.locked(USERS):
            subprocess.run(["useradd", "--create-home", name], check=True)
            made.append(name)
            for file in () if with_ids else ("/etc/subuid", "/etc/subgid"):
                lines = Path(file).read_text().splitlines(keepends=True)
                Path(file).write_text("".join(line for line in lines if not line.startswith(f"{name}:")))
        home = Path(pwd.getpwnam(name).pw_dir)
        shutil.copytree(Path(cligym_env.__file__).parent, home / "src")
        shutil.copy(rootfs, home / "rootfs.tar")
        python = next((path for path in ("/usr/bin/python3", sys.executable) if can_run(name, path)), None)
        if python is None:
            pytest.skip("no interpreter that an ordinary user may run")
        arguments = [str(home / "src"), str(home / "store"), str(home / "rootfs.tar")]
        command = ["runuser", "-u", name, "--", python, "-c", textwrap.dedent(ORDINARY), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        if "PROBLEM" in result.stderr:
            pytest.skip(f"the kernel does not allow it: {result.stderr}")
        assert result.returncode == 0, result.stderr
        return result.stdout

    yield run
    with files.locked(USERS):
        for name in made:
            subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)


def can_run(user: str, python: str) -> bool:
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    command = ["runuser", "-u", user, "--", python, "-c", check]
    return subprocess.run(command, check=False, capture_output=True, cwd="/").returncode == 0


def test_as_an_ordinary_user(ordinary: Callable[[bool, Path], str], rootfs: Path) -> None:
    assert ordinary(True, rootfs).splitlines() == [
        "single False",
        "root 0",
        "dev 1000",
        "own 1000",
        "after bomb",
        "opaque True",
        "committed ['/f', '/old:']",
        "left []",
    ]


def test_as_an_ordinary_user_without_further_ids(
    ordinary: Callable[[bool, Path], str], rootfs: Path
) -> None:
    lines = ordinary(False, rootfs).splitlines()
    assert lines == [
        "single True",
        "root 0",
        "dev 0",
        "own 0",
        "after bomb",
        "opaque True",
        "committed ['/f', '/old:']",
        "left []",
    ]


# ── what is kept ────────────────────────────────────────────────────────────────────────────


def test_images_without_a_name_go_with_their_process(rootfs: Path, tmp_path: Path) -> None:
    def layers() -> set[str]:
        return {path.name for path in (tmp_path / "layers").iterdir()}

    first = plugins.create("backends", "embedded", home=tmp_path)
    second = plugins.create("backends", "embedded", home=tmp_path)
    try:
        base = first.load(rootfs, "tiny")
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    made = []
    for parent in (base, base):
        with contextlib.closing(first.start(parent)) as sandbox:
            sandbox.write("/made", b"")
            made.append(sandbox.commit())
    with contextlib.closing(first.start(made[0])) as sandbox:
        sandbox.write("/more", b"")
        named = sandbox.commit()
    first.tag(named, "named")
    assert second.sweep() == 0
    assert layers() == {base.ref, made[0].ref, made[1].ref, named.ref}
    with contextlib.closing(second.start(made[1])):
        first.close()
        assert layers() == {base.ref, made[0].ref, made[1].ref, named.ref}, (
            "one is in use, one below a name"
        )
    second.close()
    assert layers() == {base.ref, made[0].ref, named.ref}
    with contextlib.closing(plugins.create("backends", "embedded", home=tmp_path)) as third:
        third.tag(base, "named")
        third.sweep()
        assert layers() == {base.ref}
        assert third.find("tiny") == third.find("named") == base

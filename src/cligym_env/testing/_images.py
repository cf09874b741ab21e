"""Checks of images: commits, layers on layers, names, archives that become images."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from cligym_env import files
from cligym_env.core import Image
from cligym_env.errors import ImageError, SandboxError
from cligym_env.testing._bench import LONG_S, Bench, collect, nonce, ok, raises, returned, same
from cligym_env.testing._files import archive as _archive

__all__ = ["CHECKS"]


def _names() -> tuple[str, str]:
    """A pair of names, the same at every call: an image that has a name is kept for good.

    They are this home's, as is the lock; homes may share an engine.
    """
    home = hashlib.sha256(str(files.home()).encode()).hexdigest()[:12]
    return f"cligym/conformance:{home}-a", f"cligym/conformance:{home}-b"


def commit_and_start(bench: Bench) -> None:
    """A sandbox started from a commit has the disk of the one committed: states, links, deletions."""
    sandbox = bench.start()
    ok(
        sandbox.exec(
            "cd /srv; echo new > f; chown 12:34 f; chmod 4751 f; ln f hard; ln -s f soft; mkdir -m 1777 d; "
            "touch $'d/\\xff' 'd/a b'; rm -r /etc/skel /etc/shadow; echo more >> /etc/passwd; "
            "chmod 711 /usr/lib; mkfifo p; touch -d @1000000000 old",
            timeout_s=LONG_S,
        )
    )
    look = (
        "cd /srv; stat -c '%A %u %g %h %n' f hard d /usr/lib p; readlink soft; cat f; ls -b d; "
        "stat -c %Y old; ls -d /etc/skel /etc/shadow; tail -n1 /etc/passwd"
    )
    wanted = sandbox.exec(look, timeout_s=LONG_S).text
    image = sandbox.commit()
    same(image.backend, bench.backend.name, "the image's back end")
    same(bench.start(image).exec(look, timeout_s=LONG_S).text, wanted, "what is found")


def commit_leaves_the_image(bench: Bench) -> None:
    """A commit makes a new image, and changes neither the old one nor what runs from it."""
    running, sandbox = bench.start(), bench.start()
    ok(sandbox.exec("touch /srv/f", timeout_s=LONG_S))
    image = sandbox.commit()
    same(image == bench.image, False, "equality of the two images")
    for other in (running, bench.start()):
        ok(other.exec("ls /srv", timeout_s=LONG_S), "")


def commit_nothing(bench: Bench) -> None:
    """A commit without a change is an image like the one it came from."""
    image = bench.start().commit()
    ok(bench.start(image).exec("ls /srv; cat /etc/passwd | head -c 5", timeout_s=LONG_S), "root:")


def commit_twice_the_same(bench: Bench) -> None:
    """Many sandboxes start from one commit, and each has its own disk."""
    sandbox = bench.start()
    sandbox.write("/srv/f", b"0")
    image = sandbox.commit()
    boxes = [bench.start(image) for _ in range(3)]
    for number, box in enumerate(boxes):
        box.write("/srv/f", str(number).encode())
    same([box.read("/srv/f") for box in boxes], [b"0", b"1", b"2"], "contents")


def commit_keeps_no_process(bench: Bench) -> None:
    """Only the disk is committed: no process, no variable, no directory of a shell, no /tmp in memory."""
    sandbox, mark = bench.start(), nonce()
    shell = sandbox.shell()
    shell.run(f"cd /usr; x=1; sleep {mark} & true", timeout_s=LONG_S)
    shell = bench.start(returned(sandbox.commit, 0)).shell()
    ok(shell.run('pwd; echo "x=$x"; jobs', timeout_s=LONG_S), "/\nx=\n")


def layers_of_layers(bench: Bench) -> None:
    """Twelve commits on top of each other add up: files, deletions, folders made anew."""
    image = bench.image
    for number in range(12):
        sandbox = bench.start(image)
        command = (
            f"cd /srv; touch f{number}; rm -f f{number - 3}; rm -rf d; mkdir d; touch d/{number}; "
            "rm -rf /etc/skel; mkdir -p /etc/skel/new"
        )
        ok(sandbox.exec(command, timeout_s=LONG_S))
        image = sandbox.commit()
        sandbox.close()
    ok(
        bench.start(image).exec("ls -A /srv /srv/d /etc/skel", timeout_s=LONG_S),
        ("/etc/skel:\nnew\n\n/srv:\nd\nf10\nf11\nf9\n\n/srv/d:\n11\n"),
    )


def layers_change_kind(bench: Bench) -> None:
    """A layer may turn a folder into a link or a file, and back."""
    image = bench.image
    for command in (
        "mkdir -p /srv/p/q; touch /srv/p/q/r",
        "rm -rf /srv/p; ln -s /etc /srv/p",
        "rm /srv/p; mkdir /srv/p; touch /srv/p/s",
        "rm -rf /srv/p; echo file > /srv/p",
        "rm /srv/p; mkdir /srv/p; touch /srv/p/t",
    ):
        sandbox = bench.start(image)
        ok(sandbox.exec(command, timeout_s=LONG_S))
        image = sandbox.commit()
    ok(bench.start(image).exec("ls -A /srv/p", timeout_s=LONG_S), "t\n")


def changes_since_the_commit(bench: Bench) -> None:
    """Changes are told against the image a sandbox started from, not against the first one."""
    sandbox = bench.start()
    ok(sandbox.exec("touch /srv/before; rm /etc/shadow", timeout_s=LONG_S))
    second = bench.start(sandbox.commit())
    ok(second.exec("touch /srv/after; rm /srv/before", timeout_s=LONG_S))
    snapshot = second.freeze()
    found = {path: entry.kind for path, entry in snapshot.changes().items() if entry.kind != "dir"}
    same(found, {"/srv/after": "file", "/srv/before": "absent"}, "changes")
    same(snapshot.entry("/etc/shadow").kind, "absent", "what an earlier layer deleted")
    same(snapshot.entry("/etc/passwd").kind, "file", "what no layer touched")


def names(bench: Bench) -> None:
    """An image gets a name, another one can take it, and a name nobody gave finds nothing."""
    first, second = _names()
    with files.locked(files.home() / "conformance.lock"):
        sandbox = bench.start()
        sandbox.write("/srv/f", b"named")
        image = sandbox.commit()
        for name in (first, second):
            bench.backend.tag(image, name)
            same(bench.backend.find(name), image, name)
        bench.backend.tag(bench.image, second)
        same(bench.backend.find(second), bench.image, "the name that was taken")
        same(bench.start(bench.backend.find(first)).read("/srv/f"), b"named", "content")
        bench.backend.tag(bench.image, first)
    same(bench.backend.find(f"cligym/conformance:{nonce()}"), None, "a name nobody gave")


def names_are_for_everybody(bench: Bench) -> None:
    """Another object of the back end finds the names, and starts from images, of the first."""
    other = bench.another()
    with files.locked(files.home() / "conformance.lock"):
        bench.backend.tag(bench.image, _names()[0])
        found = other.find(_names()[0])
    same(found, bench.image, "the image found by name")
    sandbox = other.start(bench.image)
    try:
        ok(sandbox.exec("echo alive", timeout_s=LONG_S), "alive\n")
    finally:
        sandbox.close()


def missing_image(bench: Bench) -> None:
    """An image that is not in the store cannot be started."""
    raises(
        ImageError,
        lambda: bench.start(Image(bench.backend.name, f"sha256:{nonce():0>64}")),
        "no such image",
    )


def load_archive(bench: Bench) -> None:
    """An archive becomes an image; one without a program in it starts, or raises our error."""
    content = _archive(
        ("dir", "etc", 0o755, 0, 0, ""),
        ("file", "etc/passwd", 0o644, 0, 0, b"root:x:0:0::/:/none\n"),
        ("file", "srv/f", 0o640, 12, 34, b"content"),
        ("link", "srv/l", 0o777, 0, 0, "/srv/f"),
    )
    with tempfile.TemporaryDirectory() as folder, files.locked(files.home() / "conformance.lock"):
        file = Path(folder) / "image.tar"
        file.write_bytes(content)
        image = bench.backend.load(file, _names()[1])
        same(bench.backend.find(_names()[1]), image, "the image found by name")
        bench.backend.tag(bench.image, _names()[1])
        try:
            sandbox = bench.start(image)
        except SandboxError:
            return
        same((sandbox.read("/srv/f"), sandbox.read("/srv/l")), (b"content", b"content"), "contents")
        same(sandbox.exec(["/bin/true"], timeout_s=LONG_S).exit_code, 127, "exit code of a missing program")
        entry = sandbox.freeze().entry("/srv/f")
        same((entry.mode, entry.uid, entry.gid), (0o640, 12, 34), "its state")


def load_broken(bench: Bench) -> None:
    """What is no archive becomes no image, and takes no name."""
    name = f"cligym/conformance:{nonce()}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.tar"
        file.write_bytes(b"this is no archive" * 1000)
        raises(ImageError, lambda: bench.backend.load(file, name), "no archive")
        raises(ImageError, lambda: bench.backend.load(file.with_name("none"), name), "no file")
    same(bench.backend.find(name), None, "the name")


CHECKS = collect(dict(globals()))

"""Checks of the frozen disk: what changed, what a path is, what it holds."""

from __future__ import annotations

import hashlib
from functools import partial

from cligym_env.core import Entry, Snapshot
from cligym_env.errors import SandboxError
from cligym_env.testing._bench import (
    LONG_S,
    Bench,
    collect,
    gone,
    nonce,
    ok,
    raises,
    returned,
    same,
    until,
)

__all__ = ["CHECKS"]


def _frozen(bench: Bench, command: str) -> Snapshot:
    sandbox = bench.start()
    ok(sandbox.exec(command, timeout_s=LONG_S))
    return returned(sandbox.freeze, 0)


def _state(entry: Entry) -> tuple[str, str, int, int]:
    return entry.kind, oct(entry.mode), entry.uid, entry.gid


def changes_none(bench: Bench) -> None:
    """A sandbox in which nothing was written has no changes: the back end leaves no traces."""
    sandbox = bench.start()
    ok(sandbox.exec("cat /etc/passwd >/dev/null; ls /root /tmp", timeout_s=LONG_S))
    shell = sandbox.shell()
    shell.run("cd /tmp; true", timeout_s=LONG_S)
    shell.run("exit", timeout_s=LONG_S)
    shell.run("true", timeout_s=LONG_S)
    found = returned(sandbox.freeze, 0).changes()
    # A folder may be listed as touched; a file, a link or a deletion is a trace.
    same({path: entry.kind for path, entry in found.items() if entry.kind != "dir"}, {}, "changes")


def changes_of_files(bench: Bench) -> None:
    """New, modified and deleted files, links and pipes are listed with their states, sorted."""
    snapshot = _frozen(
        bench,
        "cd /srv; echo new > new; chown 12:34 new; chmod 4751 new; ln -s /any where; mkfifo pipe; "
        "mkdir -m 1770 dir; echo more >> /etc/passwd; rm /etc/shadow",
    )
    found = snapshot.changes()
    same(list(found), sorted(found), "the order of paths")
    same(_state(found["/srv/new"]), ("file", "0o4751", 12, 34), "the new file")
    same(found["/srv/new"].size_bytes, 4, "its size")
    same((found["/srv/where"].kind, found["/srv/where"].target), ("link", "/any"), "the link")
    same(found["/srv/pipe"].kind, "other", "the pipe")
    same(_state(found["/srv/dir"]), ("dir", "0o1770", 0, 0), "the folder")
    same(_state(found["/etc/passwd"]), ("file", "0o644", 0, 0), "the modified file")
    same(found["/etc/shadow"].kind, "absent", "the deleted file")
    listed = {path for path, entry in found.items() if entry.kind != "dir"}
    same(listed, {"/srv/new", "/srv/where", "/srv/pipe", "/etc/passwd", "/etc/shadow"}, "what is listed")


def changes_of_states(bench: Bench) -> None:
    """A change of mode or owner alone is a change, of files and of folders."""
    snapshot = _frozen(
        bench, "chmod 600 /etc/passwd; chown 5:6 /etc/group; chmod 711 /usr/lib; chown 7 /srv"
    )
    found = snapshot.changes()
    same(_state(found["/etc/passwd"]), ("file", "0o600", 0, 0), "mode of a file")
    same(_state(found["/etc/group"]), ("file", "0o644", 5, 6), "owner of a file")
    same(_state(found["/usr/lib"]), ("dir", "0o711", 0, 0), "mode of a folder")
    same(_state(found["/srv"]), ("dir", "0o755", 7, 0), "owner of a folder")


def changes_of_kind(bench: Bench) -> None:
    """A path that became another kind is listed as what it is now, and nothing is left below it."""
    snapshot = _frozen(
        bench,
        "rm -rf /etc/default; ln -s /srv /etc/default; rm -rf /etc/skel; echo file > /etc/skel; "
        "rm /etc/passwd; mkdir /etc/passwd; rm /etc/os-release; echo file > /etc/os-release",
    )
    found = snapshot.changes()
    kinds = [found[path].kind for path in ("/etc/default", "/etc/skel", "/etc/passwd", "/etc/os-release")]
    same(kinds, ["link", "file", "dir", "file"], "kinds")
    same(snapshot.entry("/etc/default/useradd").kind, "absent", "what was below")
    same(snapshot.entry("/etc/skel/.bashrc").kind, "absent", "what was below")


def changes_opaque(bench: Bench) -> None:
    """A folder removed and made again hides what the image had in it."""
    snapshot = _frozen(bench, "rm -rf /etc/skel; mkdir /etc/skel; echo new > /etc/skel/new")
    found = snapshot.changes()
    hidden = found["/etc/skel"].opaque or found.get("/etc/skel/.bashrc", Entry("dir")).kind == "absent"
    same(hidden, True, "hidden: by an opaque folder, or by a deletion for each file")
    same(snapshot.entry("/etc/skel/.bashrc").kind, "absent", "what was below")
    same(found["/etc/skel/new"].kind, "file", "what is new")


def changes_of_removed_tree(bench: Bench) -> None:
    """A removed folder is one deletion, and all below it is absent."""
    snapshot = _frozen(bench, "rm -rf /usr/share/base-files /etc/skel")
    found = snapshot.changes()
    same((found["/usr/share/base-files"].kind, found["/etc/skel"].kind), ("absent", "absent"), "kinds")
    same(snapshot.entry("/etc/skel/.bashrc").kind, "absent", "what was below")


def changes_undone(bench: Bench) -> None:
    """What was made and removed again is no change."""
    snapshot = _frozen(bench, "mkdir -p /srv/a/b; touch /srv/a/b/c; rm -rf /srv/a")
    same({path for path in snapshot.changes() if path.startswith("/srv/")}, set(), "changes below /srv")


def changes_odd_names(bench: Bench) -> None:
    """Names that are no text, or look like marks of the file system, are listed and can be asked for."""
    snapshot = _frozen(bench, "cd /srv; touch $'\\xff' $'line\\nend' .wh.x .wh..wh..opq 'a b'; mkdir .wh.d")
    found = [path for path in snapshot.changes() if path.startswith("/srv/")]
    wanted = {"/srv/\udcff", "/srv/line\nend", "/srv/a b", "/srv/.wh.x", "/srv/.wh..wh..opq", "/srv/.wh.d"}
    same(set(found), wanted, "names")
    same({snapshot.entry(path).kind for path in found}, {"file", "dir"}, "kinds")


def changes_too_many(bench: Bench) -> None:
    """More changes than asked for raise OverflowError; as many are given."""
    snapshot = _frozen(bench, "touch /srv/{1..50}")
    raises(OverflowError, lambda: snapshot.changes(max_paths=40), "40 asked for, 50 there")
    same(len([path for path in snapshot.changes(max_paths=60) if path.startswith("/srv/")]), 50, "number")


def changes_are_the_sandboxs(bench: Bench) -> None:
    """What one sandbox changes, another does not see."""
    first, second = bench.start(), bench.start()
    ok(first.exec("touch /srv/first; rm /etc/passwd", timeout_s=LONG_S))
    ok(second.exec("ls /srv; test -e /etc/passwd", timeout_s=LONG_S), "")
    same("/srv/first" in second.freeze().changes(), False, "the other one's file listed")


def entry_of_anything(bench: Bench) -> None:
    """A path is told with its digest, changed or not; where there is none, it is absent."""
    snapshot = _frozen(
        bench, "printf content > /srv/f; chmod 640 /srv/f; chown 12:34 /srv/f; ln -s f /srv/l"
    )
    entry = snapshot.entry("/srv/f")
    wanted = Entry("file", 0o640, 12, 34, 7, "", hashlib.sha256(b"content").hexdigest())
    same(entry, wanted, "a changed file")
    same(snapshot.entry("/srv/l").target, "f", "target of a link")
    passwd = snapshot.entry("/etc/passwd")
    same(
        passwd.sha256,
        hashlib.sha256(snapshot.read("/etc/passwd")).hexdigest(),
        "digest of an unchanged file",
    )
    same((passwd.kind, passwd.mode), ("file", 0o644), "an unchanged file")
    same(snapshot.entry("/usr").kind, "dir", "an unchanged folder")
    for path in ("/none", "/none/none", "/etc/passwd/none"):
        same(snapshot.entry(path).kind, "absent", path)


def entry_follows_no_link(bench: Bench) -> None:
    """Below a symbolic link all is absent, new link or the image's own."""
    snapshot = _frozen(
        bench, "mkdir /srv/d; touch /srv/d/f; ln -s d /srv/l; ln -s /etc /srv/e; ln -s / /srv/r"
    )
    same(snapshot.entry("/srv/d/f").kind, "file", "the file itself")
    below = ["/srv/l/f", "/srv/e/passwd", "/srv/r/etc/passwd"]
    if snapshot.entry("/bin").kind == "link":
        below.append("/bin/bash")
    for path in below:
        same(snapshot.entry(path).kind, "absent", path)
        raises(FileNotFoundError, partial(snapshot.read, path), path)


def snapshot_read(bench: Bench) -> None:
    """A regular file is read, changed or not; anything else and what is too large is refused."""
    snapshot = _frozen(
        bench, "printf content > /srv/f; ln -s f /srv/l; mkfifo /srv/p; head -c 101 /dev/zero > /srv/big"
    )
    same(snapshot.read("/srv/f"), b"content", "a new file")
    same(snapshot.read("/etc/passwd")[:5], b"root:", "an unchanged file")
    for path in ("/srv/l", "/srv/p", "/srv", "/none"):
        raises(FileNotFoundError, partial(returned, partial(snapshot.read, path), 0), path)
    raises(OverflowError, lambda: snapshot.read("/srv/big", max_bytes=100), "a file above max_bytes")


def freeze_ends_everything(bench: Bench) -> None:
    """After the freeze nothing runs, nothing starts, and the disk stays as it is."""
    sandbox, mark = bench.start(), nonce()
    shell = sandbox.shell()
    writer = f"(trap '' TERM INT HUP; while :; do echo {mark} >> /srv/f; sleep 0.01; done) &"
    shell.run(f"{writer} until test -s /srv/f; do sleep 0.05; done", timeout_s=LONG_S)
    snapshot = returned(sandbox.freeze, 0)
    content = snapshot.read("/srv/f")
    same(content[:4], mark[:4].encode(), "the beginning of what was written")
    raises(SandboxError, lambda: sandbox.exec("true", timeout_s=LONG_S), "a command after the freeze")
    raises(SandboxError, lambda: shell.run("true", timeout_s=LONG_S), "a shell's command after the freeze")
    same(snapshot.read("/srv/f"), content, "content later")


def state_survives_commands(bench: Bench) -> None:
    """What a command leaves in the background goes on until something ends it."""
    sandbox, mark = bench.start(), nonce()
    ok(sandbox.exec(f"nohup sleep {mark} >/dev/null 2>&1 &", timeout_s=LONG_S))
    # Its name is asked for, not its command line: that has the mark before it has become a sleep.
    find = "for p in /proc/[0-9]*; do read -r c < $p/comm; test $c != sleep || echo ${p#/proc/}; done"
    find = f"{{ {find}; }} 2>/dev/null"
    until(lambda: bool(sandbox.exec(find, timeout_s=LONG_S).text.split()), "the process is running")
    ok(sandbox.exec(f"kill $({find})", timeout_s=LONG_S))
    gone(sandbox, mark)


CHECKS = collect(dict(globals()))

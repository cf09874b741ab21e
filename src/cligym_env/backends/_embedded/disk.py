"""A worker that handles trees on the host's disk with the rights, and the ids, of the sandboxes.

Forked from the zygote; serves one client connection. Nothing of a sandbox is executed, no link in
one is followed out of it.
"""

from __future__ import annotations

import _socket
import fcntl
import os
from typing import Any

from . import cgroups, frozen, layers, tree, wire


def serve(sock: _socket.socket, *, root: bool, lenient: bool) -> None:
    """Answer requests, one after the other, until the other side is gone.

    Args:
        sock: the connection.
        root: whether this is the host's root, and not root of a user namespace.
        lenient: a user namespace with one id.
    """
    view: frozen.Frozen | None = None
    while True:
        try:
            request, descriptors = wire.recv(sock)
        except (EOFError, OSError):
            return
        kind, *arguments = request
        answered: tuple[int, ...] = ()
        try:
            result: Any = None
            if kind == "open":
                view = frozen.Frozen(*arguments, root=root)
            elif kind == "file":
                assert view is not None
                answered = (view.file(*arguments),)
            elif kind == "unpack":
                _unpack(*arguments, *descriptors, lenient=lenient)
            elif kind in ("changes", "entry"):
                assert view is not None
                result = getattr(view, kind)(*arguments)
            else:
                action: Any = _ACTIONS[kind]
                result = action(*arguments, *descriptors)
            wire.send(sock, ("ok", result), answered)
        except OverflowError as error:
            wire.send(sock, ("overflow", str(error)))
        except Exception as error:  # the client raises it again
            number = getattr(error, "errno", None) or 0
            wire.send(sock, ("error", number, f"{error}" or type(error).__name__))
        finally:
            for descriptor in (*descriptors, *answered):
                os.close(descriptor)


def _remove(*paths: str) -> None:
    for path in paths:
        tree.remove(path)


def _keep(source: str, temporary: str, final: str, parent: str) -> None:
    """Make a folder of changes a layer: whole, or not at all."""
    os.mkdir(temporary, 0o711)
    os.rename(source, f"{temporary}/fs")
    _finish(temporary, final, parent)


def _finish(temporary: str, final: str, parent: str) -> None:
    for name, text in (("parent", parent), ("owner", temporary.rpartition(".")[2].partition("-")[0])):
        with open(f"{temporary}/{name}", "w", encoding="utf-8") as stream:
            stream.write(text)
    os.rename(temporary, final)


def _empty(temporary: str, final: str) -> None:
    """Make a layer with nothing in it but the places to mount on."""
    os.mkdir(temporary, 0o711)
    os.mkdir(f"{temporary}/fs", 0o755)
    before = os.getcwd()
    os.chdir(f"{temporary}/fs")
    try:
        _prepare()
    finally:
        os.chdir(before)
    _finish(temporary, final, "")


def _unpack(temporary: str, final: str, archive: int, *, lenient: bool) -> None:
    """Make a layer of a tar with a root file system, compressed or not.

    The work is done in a fork, because that changes its root.
    """
    os.mkdir(temporary, 0o711)
    os.mkdir(f"{temporary}/fs", 0o755)
    inlet, outlet = os.pipe()
    pid = os.fork()
    if not pid:
        message = b""
        try:
            _unpack_here(f"{temporary}/fs", archive, lenient)
        except BaseException as error:  # told to the parent
            message = f"{type(error).__name__}: {error}".encode("utf-8", "replace") or b"failed"
        finally:
            os.write(outlet, message[:4096])
            os._exit(1 if message else 0)
    os.close(outlet)
    message = wire.read_all(inlet)
    os.close(inlet)
    _, status = os.waitpid(pid, 0)
    if message or status:
        tree.remove(temporary)
        raise ValueError(message.decode("utf-8", "replace") or f"ended with status {status}")
    _finish(temporary, final, "")


def _unpack_here(folder: str, archive: int, lenient: bool) -> None:
    import tarfile  # noqa: PLC0415 - only this fork needs it

    kinds = {
        tarfile.DIRTYPE: "dir",
        tarfile.SYMTYPE: "link",
        tarfile.LNKTYPE: "hard",
        tarfile.FIFOTYPE: "fifo",
    }
    with os.fdopen(os.dup(archive), "rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
        os.chroot(folder)
        os.chdir("/")

        def members() -> Any:
            for info in tar:
                kind = "file" if info.isreg() else kinds.get(info.type)
                if kind is None:
                    continue  # device nodes: every sandbox gets its own
                member = (info.name, kind, info.mode, info.uid, info.gid, info.mtime, info.linkname, 0, 0)
                yield member, lambda into, info=info: _pour(tar.extractfile(info), into)

        tree.lay_out(members(), lenient_owners=lenient)
        _prepare()


def _pour(source: Any, target: int) -> None:
    while part := source.read(1 << 20):
        view = memoryview(part)
        while view:
            view = view[os.write(target, view) :]


def _prepare() -> None:
    """Have the places every sandbox mounts something on, so that none shows up as a change."""
    for name, mode in (
        ("dev", 0o755),
        ("proc", 0o555),
        ("sys", 0o555),
        ("tmp", 0o1777),
        ("run", 0o755),
        ("etc", 0o755),
    ):
        if not os.path.lexists(name):
            os.mkdir(name)
            os.chmod(name, mode)
    for name in ("etc/hosts", "etc/hostname", "etc/resolv.conf"):
        if not os.path.lexists(name):
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644))


def _sweep() -> int:
    """Remove the folders of owners that are dead, and what nothing leads to; how many sandboxes."""
    n_removed = 0
    with open("sandboxes/.lock", "ab") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        for name in os.listdir("sandboxes"):
            if name != ".lock" and layers.is_dead(name):
                entries = os.listdir(f"sandboxes/{name}")
                n_removed += sum(entry not in ("lock", ".stage") for entry in entries)
                cgroups.leave_all(name)
                tree.remove(f"sandboxes/{name}")
        layers.collect()
    return n_removed


_ACTIONS = {"empty": _empty, "remove": _remove, "keep": _keep, "sweep": _sweep}

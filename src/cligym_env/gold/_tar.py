"""Tars for ``Sandbox.put``: a source under the work folder, wheels in the wheelhouse."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from cligym_env.errors import GoldError
from cligym_env.gold import base
from cligym_env.gold.recipe import tree

__all__ = ["of_files", "of_source"]


def of_files(paths: Iterable[Path], folder: str) -> bytes:
    """Pack files of the host, owned by root and readable by all.

    Args:
        paths: regular files.
        folder: where they go, absolute.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for path in sorted(set(paths)):
            _add(out, _member(f"{folder.strip('/')}/{path.name}", 0o644, 0), path.read_bytes())
    return buffer.getvalue()


def of_source(source: Path, workdir: str, *, uid: int) -> bytes:
    """Repack a source so that it unpacks at the work folder, owned by one user.

    The single folder that archives hold everything in is left out, and so are devices.

    Args:
        source: an archive or a folder on the host.
        workdir: absolute, inside the sandbox.
        uid: owner and group of everything.

    Raises:
        GoldError: no archive, or a member that leads out of it.
    """
    buffer = io.BytesIO()
    root = workdir.strip("/")
    with tarfile.open(fileobj=buffer, mode="w") as out:
        top = _member(root, 0o755, uid)
        top.type = tarfile.DIRTYPE
        out.addfile(top)
        if source.is_dir():
            _from_folder(out, source, root, uid)
        else:
            _from_archive(out, source, root, uid)
    return buffer.getvalue()


def _from_folder(out: tarfile.TarFile, source: Path, root: str, uid: int) -> None:
    for path in tree(source):
        name = f"{root}/{path.relative_to(source).as_posix()}"
        if path.is_symlink():
            member = _member(name, 0o777, uid)
            member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
            out.addfile(member)
        elif path.is_dir():
            member = _member(name, 0o755, uid)
            member.type = tarfile.DIRTYPE
            out.addfile(member)
        else:
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            _add(out, _member(name, mode, uid), path.read_bytes())


def _from_archive(out: tarfile.TarFile, source: Path, root: str, uid: int) -> None:
    try:
        with tarfile.open(source) as archive:
            members = archive.getmembers()
            strip = _common(members)
            for member in members:
                name = _inside(member.name, strip, source)
                if not name or not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                    continue
                mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                made = _member(f"{root}/{name}", mode, uid)
                made.type, made.linkname = member.type, member.linkname
                if member.islnk():
                    made.linkname = f"{root}/{_inside(member.linkname, strip, source)}"
                if member.isreg():
                    stream = archive.extractfile(member)
                    made.type = tarfile.REGTYPE
                    _add(out, made, stream.read() if stream else b"")
                else:
                    out.addfile(made)
    except tarfile.TarError as error:
        raise GoldError(f"{source.name}: expected a tar archive ({error})") from error


def _common(members: list[tarfile.TarInfo]) -> int:
    """How many leading folders to drop: one when it holds everything, else none."""
    tops = {PurePosixPath(member.name).parts[:1] for member in members} - {()}
    only = len(tops) == 1 and all(
        member.isdir() or len(PurePosixPath(member.name).parts) > 1 for member in members
    )
    return 1 if only else 0


def _inside(name: str, strip: int, source: Path) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise GoldError(f"{source.name}: member {name!r} leads out of the archive")
    return "/".join(path.parts[strip:])


def _member(name: str, mode: int, uid: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode, member.uid, member.gid, member.mtime = mode, uid, uid, base.EPOCH_S
    return member


def _add(out: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
    member.size = len(content)
    out.addfile(member, io.BytesIO(content))

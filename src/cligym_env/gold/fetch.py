"""Fetch what a gold is made of: the repository's source, and wheels for the image's Python.

Everything is fetched on the host by the client of its own registry, checked by its sha256, and
kept under ``downloads/`` in the home, so that nothing is fetched twice and no sandbox needs a
network for it. Only Debian source packages are fetched from inside a build sandbox: apt knows its
archive's keys, and the base has apt.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cligym_env import files
from cligym_env.core import Backend, Image, Source
from cligym_env.errors import GoldError, ImageError
from cligym_env.gold import _pypi, base
from cligym_env.gold._host import Report, forget_stale, sha256, silent, tail

__all__ = ["downloads", "source", "wheels"]

_CLIENT_TIMEOUT_S = 600.0


def downloads() -> Path:
    """The folder of everything fetched."""
    return files.home() / "downloads"


def wheels(
    pins: tuple[str, ...], *, known: dict[str, str] | None = None, report: Report = silent
) -> list[Path]:
    """Fetch one wheel for each pinned distribution, the best one for the image's Python.

    Args:
        pins: each ``name==version``.
        known: file name → sha256 of wheels that must be these very files.
        report: told what goes on.

    Returns:
        The wheels on the host, in the order of the pins.

    Raises:
        GoldError: no such distribution or version, no wheel that fits, or a wrong sha256.
        ImageError: the index does not answer.
    """
    return _pypi.wheels(pins, downloads() / "wheels", known or {}, report)


def source(wanted: Source, backend: Backend, base_image: Image, *, report: Report = silent) -> Path:
    """Fetch a repository's source.

    Args:
        wanted: which.
        backend: starts the sandbox in which a Debian source package is fetched.
        base_image: for that sandbox.
        report: told what goes on.

    Returns:
        An archive on the host (a folder for ``local``).

    Raises:
        GoldError: there is no such source, or its sha256 is not the recipe's.
        ImageError: its registry does not answer, or its client is missing here.
    """
    if wanted.kind == "local":
        return Path(wanted.name)
    key = hashlib.sha256(f"{wanted.kind} {wanted.name} {wanted.version}".encode()).hexdigest()[:16]
    folder = downloads() / "sources" / f"{wanted.kind}-{key}"
    with files.locked(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            report(f"fetching {wanted.name} {wanted.version}")
            folder.parent.mkdir(parents=True, exist_ok=True)
            forget_stale(folder.parent)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as scratch:
                made = Path(scratch, "out")
                made.mkdir()
                if wanted.kind == "debian":
                    _from_debian(wanted, made, backend, base_image)
                else:
                    _FETCHERS[wanted.kind](wanted, made)
                _check(next(made.iterdir()), wanted)
                os.replace(made, folder)
        archive = next(path for path in sorted(folder.iterdir()))
        _check(archive, wanted)
    return archive


def _check(archive: Path, wanted: Source) -> None:
    if not wanted.sha256:
        return
    found = sha256(archive)
    if found != wanted.sha256:
        raise GoldError(
            f"{wanted.name} {wanted.version}: sha256 of {archive.name} is {found}, "
            f"the recipe says {wanted.sha256}"
        )


def _from_pypi(wanted: Source, into: Path) -> None:
    _pypi.sdist(wanted.name, wanted.version, into)


def _from_npm(wanted: Source, into: Path) -> None:
    if shutil.which("npm") is None:
        raise ImageError(f"{wanted.name}: an npm source needs the npm client: apt-get install npm")
    text = _client("npm", "pack", "--silent", "--json", f"{wanted.name}@{wanted.version}", cwd=into)
    packed = into / json.loads(text)[0]["filename"]
    if not packed.exists():
        raise GoldError(f"npm packed {wanted.name} {wanted.version} under another name than it said")


def _from_git(wanted: Source, into: Path) -> None:
    if shutil.which("git") is None:
        raise ImageError(f"{wanted.name}: a git source needs git: apt-get install git")
    with tempfile.TemporaryDirectory(dir=into.parent, prefix="clone-") as clone:
        _client("git", "init", "--quiet", clone, cwd=into)
        place = Path(clone)
        try:
            _client("git", "fetch", "--quiet", "--depth=1", wanted.name, wanted.version, cwd=place)
        except ImageError:
            # A server may refuse single commits; the whole history then holds it.
            _client("git", "fetch", "--quiet", wanted.name, "+refs/*:refs/remotes/all/*", cwd=place)
        archive = str(into / "source.tar")
        _client("git", "archive", "--prefix=source/", "-o", archive, wanted.version, cwd=place)


def _from_debian(wanted: Source, into: Path, backend: Backend, base_image: Image) -> None:
    """Fetch the upstream archive of a source package, whatever its Debian revision is today."""
    sandbox = backend.start(base_image, replace(base.BUILD_LIMITS, network=True))
    try:
        get = "apt-get -qq -o APT::Sandbox::User=root --download-only --only-source source"
        # The newest revision's own files may be gone from a mirror while the upstream archive is there.
        command = (
            f"mkdir -p /tmp/source && cd /tmp/source\n{get} {shlex.quote(wanted.name)} 2>&1 "
            f"|| {get} {shlex.quote(wanted.name)}/{base.SUITE} 2>&1 || true"
        )
        said = base.apt(sandbox, command, sources=True)
        listing = sandbox.exec(["ls", "/tmp/source"], timeout_s=60).text.split()
        wanted_stem = f"{wanted.name}_{wanted.version}.orig.tar."
        found = [name for name in listing if name.startswith(wanted_stem) and not name.endswith(".asc")]
        if not found:
            offered = ", ".join(name for name in listing if ".orig.tar." in name) or tail(said)
            raise GoldError(f"Debian has no source {wanted.name} {wanted.version}: {offered}")
        (into / found[0]).write_bytes(sandbox.read(f"/tmp/source/{found[0]}", max_bytes=1 << 30))
    finally:
        sandbox.close()


_FETCHERS: dict[str, Callable[[Source, Path], None]] = {
    "pypi": _from_pypi,
    "npm": _from_npm,
    "git": _from_git,
}


def _client(*command: str, cwd: Path) -> str:
    environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environ, capture_output=True, timeout=_CLIENT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{command[0]} {command[1]}: no answer in {_CLIENT_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        said = tail((done.stdout + done.stderr).decode("utf-8", "replace"))
        raise ImageError(f"{' '.join(command[:2])} failed: {said}")
    return done.stdout.decode("utf-8", "replace")

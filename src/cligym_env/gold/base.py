"""The base image every gold stands on: Debian bookworm, a compiler, Python, an ordinary user.

Made once per home and back end, in one of two ways that lead to the same packages:

* **mmdebstrap**, from Debian packages, where that program is installed. No image registry, no
  engine; with a fixed ``SOURCE_DATE_EPOCH`` two runs on the same packages give the same tar.
* **a pulled image** (``debian:bookworm-slim``) with the same packages installed on it, where there
  is no mmdebstrap and an engine can pull.

The apt sources that served the base are kept on the host and lent to a gold's build while it
installs system packages; no image holds them.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

from cligym_env import files
from cligym_env.core import Backend, Image, Limits, Sandbox
from cligym_env.errors import ImageError
from cligym_env.gold._host import Report, host_failures, silent, tail

__all__ = ["BUILD_LIMITS", "EPOCH_S", "PACKAGES", "SUITE", "apt", "image", "image_hash", "name"]

SUITE = "bookworm"
EPOCH_S = 1_735_689_600
"""2025-01-01: every file a build makes carries this time, so that bytecode stays valid."""

PACKAGES = (
    "ca-certificates",
    "g++",
    "gcc",
    "git",
    "less",
    "libc6-dev",
    "locales",
    "make",
    "netbase",
    "pkg-config",
    "procps",
    "python3",
    "python3-dev",
    "python3-venv",
    "tzdata",
)

_EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    # Link-time optimisation and sanitizers: 200 MB that no suite needs.
    "/usr/bin/*-lto-dump*",
    "/usr/lib/gcc/*/lto1",
    "/usr/lib/gcc/*/lib[alt]san*",
    "/usr/lib/gcc/*/libubsan*",
    "/usr/lib/*/lib[alt]san.so*",
    "/usr/lib/*/libubsan.so*",
    "/usr/lib/python3*/config-*/libpython*.a",
)
_INCLUDED = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")

_SETUP = f"""set -eu
export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ln -sfn /usr/share/zoneinfo/Etc/UTC /etc/localtime
echo Etc/UTC > /etc/timezone
printf 'en_US.UTF-8 UTF-8\\nde_DE.UTF-8 UTF-8\\n' > /etc/locale.gen
locale-gen > /dev/null
id dev > /dev/null 2>&1 || useradd --create-home --uid 1000 --shell /bin/bash dev
install -d -o dev -g dev /testbed
install -d /opt/wheelhouse
git config --system safe.directory '*'
git config --system init.defaultBranch main
python3 -m venv /opt/venv
printf '[global]\\nno-index = true\\nfind-links = /opt/wheelhouse\\n' > /etc/pip.conf
printf '%s = true\\n' disable-pip-version-check no-cache-dir >> /etc/pip.conf
echo 'root-user-action = ignore' >> /etc/pip.conf
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/*
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/cache/ldconfig/aux-cache /root/.cache
rm -f /etc/*- /etc/.pwd.lock
: > /etc/machine-id
printf '127.0.0.1\\tlocalhost\\n::1\\tlocalhost ip6-localhost ip6-loopback\\n' > /etc/hosts || true
settle() {{ find /etc /home /opt /root /testbed /usr /var -xdev -newermt @{EPOCH_S} \\
    -exec touch --no-dereference --date=@{EPOCH_S} {{}} +; }}
settle
python3 -m compileall -q --invalidation-mode timestamp \\
    /usr/lib/python3 /usr/lib/python3.11 /opt/venv > /dev/null 2>&1 || true
settle
"""

BUILD_LIMITS = Limits(memory_bytes=4 << 30, n_pids=2048, n_cpus=2.0, disk_bytes=8 << 30)
_APT_TIMEOUT_S = 1800.0
_APT_PAUSE_S = 3
_SETUP_TIMEOUT_S = 600.0
_PULLED = "debian:bookworm-slim"


def image_hash() -> str:
    """Digest what makes the base: 12 hex digits."""
    said = "\0".join((SUITE, str(EPOCH_S), *PACKAGES, *_EXCLUDED, *_INCLUDED, _SETUP))
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def name() -> str:
    """The name the base has in every back end's store."""
    return f"cligym/base:{image_hash()}"


def image(backend: Backend, *, report: Report = silent) -> Image:
    """Give the base image, making it when the back end has none.

    Args:
        backend: in whose store.
        report: told what goes on.

    Raises:
        ImageError: neither way of making it works here; says what to install.
    """
    found = backend.find(name())
    if found is not None:
        return found
    with host_failures(), files.locked(_folder() / f"{backend.name}.lock"):
        found = backend.find(name())
        if found is not None:
            return found
        if not _can_bootstrap():
            return _from_pulled(backend, report)
        archive = _bootstrapped(report)
        report("base image: into the store")
        return backend.load(archive, name())


def apt(sandbox: Sandbox, command: str, *, sources: bool = False, report: Report = silent) -> str:
    """Run an apt command line in a sandbox, on sources that are lent to it for that time.

    Args:
        sandbox: started with ``network=True``.
        command: shell text; the package lists are fresh when it runs.
        sources: whether source packages are to be found too.
        report: told what goes on.

    Returns:
        What apt said.

    Raises:
        ImageError: apt failed; with the end of what it said.
    """
    return _apt(sandbox, command, _sources(report), sources=sources)


def _apt(sandbox: Sandbox, command: str, lent: str, *, sources: bool = False) -> str:
    place = _LENT[lent.lstrip().startswith("Types:")]
    if sources:
        lent = _with_sources(lent)
    leftovers = [place]
    if sandbox.exec(["test", "-s", "/etc/resolv.conf"], timeout_s=60).exit_code != 0:
        sandbox.write("/etc/resolv.conf", Path("/etc/resolv.conf").read_bytes())
        leftovers.append("/etc/resolv.conf")
    sandbox.write(place, lent.encode())
    # A name server or a mirror may fail for a moment, and an update that missed a list ends with 0.
    script = (
        "set -eu\n"
        "update() { apt-get -qq -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any update; }\n"
        f"work() {{ update || return\n{command}\n}}\n"
        f"work || {{ sleep {_APT_PAUSE_S}; work; }} || {{ sleep {3 * _APT_PAUSE_S}; work; }}\n"
        f"rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/lib/dpkg/*-old\n"
        f"rm -rf /var/log/* {shlex.join(leftovers)}"
    )
    result = sandbox.exec(script, timeout_s=_APT_TIMEOUT_S, environ=_apt_environ())
    if result.exit_code != 0:
        raise ImageError(f"apt failed while a gold was built: {tail(result.text)}")
    return result.text


_LENT = {False: "/etc/apt/sources.list", True: "/etc/apt/sources.list.d/lent.sources"}


def _with_sources(lent: str) -> str:
    lines = lent.splitlines()
    if lent.lstrip().startswith("Types:"):
        return (
            "\n".join("Types: deb deb-src" if line.startswith("Types:") else line for line in lines) + "\n"
        )
    return "\n".join([*lines, *(f"deb-src{line[3:]}" for line in lines if line.startswith("deb "))]) + "\n"


def _apt_environ() -> dict[str, str]:
    lent = {key: value for key, value in os.environ.items() if key.lower() in ("http_proxy", "https_proxy")}
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        **lent,
    }


# ── where it comes from ─────────────────────────────────────────────────────────────────────


def _folder() -> Path:
    return files.home() / "base"


def _sources(report: Report) -> str:
    """The apt sources that served the base; the base is made again when they are gone."""
    kept = _folder() / f"{image_hash()}.sources"
    if not kept.exists():
        with host_failures(), files.locked(_folder() / "sources.lock"):
            if not kept.exists():
                _bootstrapped(report)
    return kept.read_text()


def _can_bootstrap() -> bool:
    return shutil.which("mmdebstrap") is not None


def _bootstrapped(report: Report) -> Path:
    """The root file system's tar, made by mmdebstrap unless it lies there already."""
    archive = _folder() / f"{image_hash()}.tar"
    kept = archive.with_suffix(".sources")
    with files.locked(_folder() / "archive.lock"):
        if archive.exists() and kept.exists():
            return archive
        if not _can_bootstrap():
            raise ImageError("the base image needs mmdebstrap: apt-get install mmdebstrap")
        for stale in _folder().glob(".making-*"):
            shutil.rmtree(stale, ignore_errors=True)
        try:
            _bootstrap_into(archive, kept, report)
        except ImageError:  # a mirror may fail for a moment
            report("base image: once more")
            _bootstrap_into(archive, kept, report)
    return archive


def _bootstrap_into(archive: Path, kept: Path, report: Report) -> None:
    with tempfile.TemporaryDirectory(dir=_folder(), prefix=".making-") as scratch:
        _bootstrap(Path(scratch), report)
        os.replace(Path(scratch, "sources"), kept)
        os.replace(Path(scratch, "base.tar"), archive)


def _bootstrap(scratch: Path, report: Report) -> None:
    setup = scratch / "setup"
    setup.write_text(_SETUP)
    # Up- and download are mmdebstrap's own: they also work where it is an ordinary user's.
    hooks = (
        f"download /etc/apt/sources.list {shlex.quote(str(scratch / 'sources'))}",
        f"upload {shlex.quote(str(setup))} /tmp/setup",
        'chroot "$1" /bin/sh /tmp/setup',
        'rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',
    )
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(PACKAGES)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED),
        *(f"--dpkgopt=path-include={pattern}" for pattern in _INCLUDED),
        *(f"--customize-hook={hook}" for hook in hooks),
        SUITE,
        str(scratch / "base.tar"),
    ]
    said: list[str] = []
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH_S)}
    if os.geteuid() == 0:
        # The users of a user namespace could not reach into the home; root's /tmp may be small.
        environ["TMPDIR"] = str(scratch)
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", env=environ
    ) as process:
        try:
            for line in process.stderr or ():
                said.append(line)
                if line.startswith("I: "):
                    report(f"base image: {line[3:].strip()}")
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise ImageError(f"the base image could not be made: {tail(''.join(said))}")


def _from_pulled(backend: Backend, report: Report) -> Image:
    """Install the same packages on a pulled image, in a sandbox of the back end itself."""
    report(f"base image: pulling {_PULLED}")
    with tempfile.TemporaryDirectory(dir=_folder(), prefix=".making-") as scratch:
        archive = Path(scratch, "slim.tar")
        _pull(archive)
        slim = backend.load(archive, f"cligym/slim:{image_hash()}")
    sandbox = backend.start(slim, replace(BUILD_LIMITS, network=True))
    try:
        lent = _first(sandbox, *reversed(_LENT.values()), "/etc/apt/sources.list.d/debian.sources")
        report("base image: installing packages")
        patterns = [f"path-exclude={pattern}" for pattern in _EXCLUDED]
        patterns += [f"path-include={pattern}" for pattern in _INCLUDED]
        sandbox.write("/etc/dpkg/dpkg.cfg.d/99cligym", "\n".join([*patterns, ""]).encode())
        install = "apt-get -qq -y -o APT::Sandbox::User=root --no-install-recommends install"
        _apt(sandbox, f"{install} {shlex.join(PACKAGES)} > /dev/null", lent)
        result = sandbox.exec(_SETUP, timeout_s=_SETUP_TIMEOUT_S)
        if result.exit_code != 0:
            raise ImageError(f"the base image could not be set up: {tail(result.text)}")
        made = sandbox.commit()
    finally:
        sandbox.close()
    files.write_atomic(_folder() / f"{image_hash()}.sources", lent.encode())
    backend.tag(made, name())
    return made


def _first(sandbox: Sandbox, *places: str) -> str:
    for place in places:
        try:
            return sandbox.read(place).decode()
        except FileNotFoundError:
            continue
    raise ImageError(f"{_PULLED} names no apt sources")


def _pull(archive: Path) -> None:
    """Write the pulled image's root file system as a tar."""
    import docker  # noqa: PLC0415  (half a second that only this way needs)
    from docker.errors import DockerException, ImageNotFound  # noqa: PLC0415

    try:
        with closing(docker.from_env(timeout=600)) as client:
            try:
                client.images.get(_PULLED)
            except ImageNotFound:
                client.images.pull(_PULLED)
            container = client.containers.create(_PULLED, ["true"])
            try:
                with archive.open("wb") as stream:
                    stream.writelines(cast(Iterable[bytes], container.export()))
            finally:
                container.remove(force=True)
    except DockerException as error:
        raise ImageError(
            "the base image needs mmdebstrap (apt-get install mmdebstrap) or an engine that can pull "
            f"{_PULLED}: {error}"
        ) from error

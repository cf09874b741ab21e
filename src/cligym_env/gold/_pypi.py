"""Python distributions from the package index that pip on this host is configured with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import requests
from packaging import tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pypi_simple import (
    PYPI_SIMPLE_ENDPOINT,
    DigestMismatchError,
    DistributionPackage,
    NoDigestsError,
    NoSuchProjectError,
    PyPISimple,
)
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cligym_env.errors import GoldError, ImageError
from cligym_env.gold._host import Report, forget_stale, sha256

__all__ = ["sdist", "target_tags", "wheels"]

_PYTHON = (3, 11)
_GLIBC_MINOR = 36
"""Debian bookworm's glibc is 2.36, its Python 3.11."""

_TIMEOUT_S = 60.0
_N_WORKERS = 8
_RETRIES = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))


@cache
def target_tags() -> tuple[tags.Tag, ...]:
    """Give the wheel tags the image's Python takes, the best first."""
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC_MINOR, 4, -1)]
    platforms.insert(platforms.index(f"manylinux_2_17_{machine}") + 1, f"manylinux2014_{machine}")
    if machine == "x86_64":
        platforms.insert(platforms.index("manylinux_2_12_x86_64") + 1, "manylinux2010_x86_64")
        platforms.append("manylinux1_x86_64")
    platforms.append(f"linux_{machine}")
    own = tags.cpython_tags(_PYTHON, platforms=platforms)
    shared = tags.compatible_tags(_PYTHON, "cp311", platforms)
    return tuple(dict.fromkeys((*own, *shared)))


def wheels(pins: tuple[str, ...], folder: Path, known: dict[str, str], report: Report) -> list[Path]:
    """Fetch one wheel for each pin; see ``fetch.wheels``."""
    folder.mkdir(parents=True, exist_ok=True)
    forget_stale(folder)
    present = _present(folder)

    def one(pin: str) -> Path:
        name, _, version = pin.partition("==")
        path = present.get((canonicalize_name(name), Version(version)))
        if path is None:
            report(f"fetching {pin}")
            path = _fetched(name, version, folder, wheel=True)
        if path.name in known and sha256(path) != known[path.name]:
            raise GoldError(f"{pin}: sha256 of {path.name} is not {known[path.name]}, which the lock names")
        return path

    with ThreadPoolExecutor(_N_WORKERS) as pool:
        return list(pool.map(one, pins))


def sdist(name: str, version: str, into: Path) -> Path:
    """Fetch a source distribution.

    Args:
        name: of the project.
        version: of the release.
        into: an existing folder on the host.

    Raises:
        GoldError: no such project, version or source distribution.
        ImageError: the index does not answer.
    """
    return _fetched(name, version, into, wheel=False)


def _present(folder: Path) -> dict[tuple[str, Version], Path]:
    """The fetched wheels that the image's Python takes, the best one for each version."""
    rank = {tag: place for place, tag in enumerate(target_tags())}
    best: dict[tuple[str, Version], tuple[int, Path]] = {}
    for path in sorted(folder.glob("*.whl")):
        name, version, _, wheel_tags = parse_wheel_filename(path.name)
        places = [rank[tag] for tag in wheel_tags if tag in rank]
        if places and (min(places), path) < best.get((name, version), (len(rank), path)):
            best[(name, version)] = (min(places), path)
    return {key: path for key, (_, path) in best.items()}


def _fetched(name: str, version: str, into: Path, *, wheel: bool) -> Path:
    endpoint, certificate = _configured()
    with _answers(name, version), PyPISimple(endpoint) as client:
        for scheme in ("http://", "https://"):
            client.s.mount(scheme, HTTPAdapter(max_retries=_RETRIES))
        if certificate:
            client.s.verify = certificate
        page = client.get_project_page(name, timeout=_TIMEOUT_S)
        package = _chosen(page.packages, name, version, wheel=wheel)
        descriptor, temporary = tempfile.mkstemp(dir=into, prefix=".making-")
        os.close(descriptor)
        try:
            client.download_package(package, temporary, verify=True, timeout=_TIMEOUT_S)
            os.chmod(temporary, 0o644)
            os.replace(temporary, into / package.filename)
        finally:
            Path(temporary).unlink(missing_ok=True)
    return into / package.filename


def _chosen(
    packages: list[DistributionPackage], name: str, version: str, *, wheel: bool
) -> DistributionPackage:
    wanted = Version(version)
    of_version = [package for package in packages if _same(package, wanted)]
    if not of_version:
        offered = sorted({package.version for package in packages if package.version}, key=_order)
        raise GoldError(
            f"no version {version} of {name}; the index has {', '.join(offered[-8:]) or 'none'}"
        )
    if not wheel:
        archives = [package for package in of_version if package.package_type == "sdist"]
        archives.sort(key=lambda package: not package.filename.endswith(".tar.gz"))
        if not archives:
            raise GoldError(f"{name} {version} has no source distribution")
        return archives[0]
    rank = {tag: place for place, tag in enumerate(target_tags())}
    ranked = []
    for package in of_version:
        try:
            places = [rank[tag] for tag in parse_wheel_filename(package.filename)[3] if tag in rank]
        except InvalidWheelFilename:
            continue
        if places:
            ranked.append((min(places), package.filename, package))
    if not ranked:
        raise GoldError(f"{name} {version} has no wheel for Python 3.11 on {platform.machine()} Linux")
    return min(ranked, key=lambda entry: entry[:2])[2]


def _same(package: DistributionPackage, wanted: Version) -> bool:
    try:
        return package.version is not None and Version(package.version) == wanted
    except InvalidVersion:
        return False


def _order(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0")


@contextmanager
def _answers(name: str, version: str) -> Iterator[None]:
    """Give every failure of the index its typed error."""
    try:
        yield
    except NoSuchProjectError as error:
        raise GoldError(f"the package index has no project {name!r}") from error
    except (DigestMismatchError, NoDigestsError) as error:
        raise GoldError(f"{name} {version}: {error}") from error
    except requests.RequestException as error:
        raise ImageError(
            f"cannot fetch {name} {version}: the package index does not answer ({type(error).__name__}); "
            "check the network, PIP_INDEX_URL and pip's configuration"
        ) from error


def _configured() -> tuple[str, str]:
    """The index and the certificate bundle that pip uses here."""
    endpoint = os.environ.get("PIP_INDEX_URL") or _pip_setting("global.index-url") or PYPI_SIMPLE_ENDPOINT
    certificate = os.environ.get("PIP_CERT") or _pip_setting("global.cert")
    return endpoint, certificate


@cache
def _pip_setting(key: str) -> str:
    command = [sys.executable, "-m", "pip", "config", "get", key]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

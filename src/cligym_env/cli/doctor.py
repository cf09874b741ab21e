"""Say which back ends work here, why the others do not, and what the machine offers them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from typing import Any

import typer

from cligym_env import files, plugins
from cligym_env.cli import _output
from cligym_env.errors import CligymError

__all__ = ["app", "examine"]

app = typer.Typer()

_MIN_FREE_BYTES = 4 << 30
_MIN_FREE_INODES = 200_000


@app.command("doctor")
def doctor(as_json: _output.JsonOption = False) -> None:
    """Say which back ends work here, why the others do not, and what the machine offers them.

    The exit code is 1 when nothing can run tasks here.
    """
    found = examine()
    if as_json:
        _output.json_out(found)
    else:
        _output.table(
            "Back ends",
            ("name", "works", "why not, and what to do"),
            [(name, "no" if why else "yes", "\n".join(why)) for name, why in found["backends"].items()],
        )
        _output.table("Machine", ("what", "found"), list(found["machine"].items()))
        _output.remark(f"default back end: {found['default'] or 'none'}")
    if not found["default"]:
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """Look at the machine; changes nothing.

    Returns:
        ``backends`` (name → reasons why it does not work; none when it does), ``machine``
        (what was looked at → what was found) and ``default`` (name, or empty).
    """
    return {
        "backends": {name: _problems(name) for name in plugins.names("backends")},
        "machine": _machine(),
        "default": _default(),
    }


def _problems(name: str) -> list[str]:
    try:
        backend = plugins.create("backends", name)
        try:
            return list(backend.problems())
        finally:
            backend.close()
    except (CligymError, OSError) as error:
        return [str(error)]


def _default() -> str:
    # Here, not above: a machine without any back end is what this command is for.
    from cligym_env.catalog import default_backend  # noqa: PLC0415

    try:
        return str(default_backend())
    except CligymError:
        return ""


def _machine() -> dict[str, str]:
    home = files.home()
    usage, inodes = shutil.disk_usage(home), os.statvfs(home).f_favail
    return {
        "home": str(home),
        "disk free": _enough(f"{usage.free / (1 << 30):.1f} GiB", usage.free >= _MIN_FREE_BYTES, "4 GiB"),
        # Some file systems count no inodes and answer 0 for everything.
        "inodes free": _enough(
            str(inodes), inodes >= _MIN_FREE_INODES or not os.statvfs(home).f_files, str(_MIN_FREE_INODES)
        ),
        "/dev/null": _dev_null(),
        "user": "root" if os.geteuid() == 0 else f"uid {os.geteuid()}",
        "namespaces": _namespaces(),
        "cgroups": "v2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "v1 or none",
        "programs": ", ".join(
            f"{name}: {'yes' if shutil.which(name) else 'no'}"
            for name in ("bwrap", "unshare", "newuidmap", "mmdebstrap", "dockerd", "git")
        ),
    }


def _enough(found: str, enough: bool, wanted: str) -> str:
    return found if enough else f"{found}: too little, have at least {wanted}"


def _dev_null() -> str:
    try:
        is_device = stat.S_ISCHR(os.stat("/dev/null").st_mode)
    except OSError:
        is_device = False
    return "a device" if is_device else "not a device: rm -f /dev/null; mknod -m 666 /dev/null c 1 3"


def _namespaces() -> str:
    kinds = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "--net", "--ipc", "--uts"]
    try:
        done = subprocess.run(
            ["unshare", *kinds, "true"], capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot be tried: {error}"
    return "yes" if done.returncode == 0 else f"no: {done.stderr.strip()}"

"""The environment variables a gold's tests and a policy's shell see, and where they come from."""

from __future__ import annotations

from cligym_env.core import Gold, Sandbox

__all__ = ["BASE", "of"]

BASE = {
    "PATH": "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
"""What every process inside a gold gets before the recipe and the system's own file are asked."""

SYSTEM_FILE = "/etc/environment"
_MAX_BYTES = 65_536


def of(gold: Gold, sandbox: Sandbox, *, user: str) -> dict[str, str]:
    """Give the complete environment of a process of a user.

    The order is a login's: the base, the user's home, the recipe's variables, and last the
    ``KEY=value`` lines of ``/etc/environment`` inside the sandbox. That file is state on disk, so
    an inversion may break it and a repair may mend it.

    Args:
        gold: with the recipe's variables.
        sandbox: whose file is read.
        user: for ``HOME``, ``USER`` and ``LOGNAME``.
    """
    home = "/root" if user == "root" else f"/home/{user}"
    variables = {**BASE, "HOME": home, "USER": user, "LOGNAME": user, **gold.environ}
    try:
        lines = sandbox.read(SYSTEM_FILE, max_bytes=_MAX_BYTES).decode("utf-8", "replace").splitlines()
    except (FileNotFoundError, OverflowError):
        return variables
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.isidentifier() and "\0" not in value:
            variables[name] = value.strip().strip("\"'")
    return variables

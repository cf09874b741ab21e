"""The gate ``paths``: where a break may live, and how large it may be."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from cligym_env.core import Gold, PathState
from cligym_env.errors import RejectedError

__all__ = ["MAX_BYTES", "MAX_PATHS", "check"]

MAX_PATHS = 60
MAX_BYTES = 8 << 20

_EPHEMERAL = re.compile(
    r"/(tmp|var/tmp|run|var/run|var/lock|dev|proc|sys)(/|$)|/etc/(hosts|hostname|resolv\.conf|mtab)$"
)
_STARTUP = re.compile(
    r"/etc/(profile|bash\.bashrc|profile\.d)(/|$)"
    r"|/(root|home/[^/]+)/\.(bashrc|profile|bash_profile|bash_login|bash_logout|bash_aliases)$"
)
_TEST_FOLDERS = frozenset({"test", "tests", "testing"})
_TEST_FILE = re.compile(r"(test_.*|.*_test|conftest)\.py$")
_CONFIGURATION = frozenset(
    {"pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini", ".coveragerc", ".pytest.ini"}
)
_SET_ID_BITS = 0o6000
_UNWRITABLE = re.compile(r"[\x00-\x1f\ud800-\udfff]")


def check(paths: Sequence[PathState], gold: Gold) -> str:
    """Judge what an inversion changed.

    Args:
        paths: what differs from gold.
        gold: tells where its tests are.

    Returns:
        What was measured, for the task's record.

    Raises:
        RejectedError: names the first path that must not change, or the bound that was passed.
    """
    if not paths:
        raise RejectedError("paths", "nothing on the disk changes; only state on disk counts")
    if len(paths) > MAX_PATHS:
        raise RejectedError("paths", f"{len(paths)} paths change, {MAX_PATHS} are allowed")
    tests = {posixpath.join(gold.workdir, name.partition("::")[0]) for name in gold.passing if "::" in name}
    for state in paths:
        reason = _forbidden(state, gold, tests)
        if reason:
            raise RejectedError("paths", f"{state.path} {reason}")
    size_bytes = sum(state.broken.size_bytes for state in paths if state.broken.kind == "file")
    if size_bytes > MAX_BYTES:
        raise RejectedError("paths", f"{size_bytes} bytes change, {MAX_BYTES} are allowed")
    return f"{len(paths)} paths, {size_bytes} bytes"


def _forbidden(state: PathState, gold: Gold, tests: set[str]) -> str:
    """Why a path must not change; empty when it may."""
    path, inner = state.path, _inner(state.path, gold.workdir)
    gained = state.broken.mode & ~state.gold.mode if state.broken.kind == "file" else 0
    rules = (
        (".git" in path.split("/"), "belongs to git"),
        (_EPHEMERAL.match(path), "is temporary, or the machine's own; only lasting state counts"),
        (_STARTUP.match(path), "starts shells up; no test run reads it"),
        (path in tests or _belongs_to_tests(inner, state), "belongs to the tests"),
        (bool(inner) and inner[-1] in _CONFIGURATION, "configures the tests"),
        (state.broken.kind == "other", "becomes a device, a socket or a FIFO"),
        (gained & _SET_ID_BITS, "gains a set-id bit"),
        (_UNWRITABLE.search(path), "has a name that no text can hold"),
    )
    return next((reason for holds, reason in rules if holds), "")


def _inner(path: str, workdir: str) -> list[str]:
    return path[len(workdir) + 1 :].split("/") if path.startswith(workdir + "/") else []


def _belongs_to_tests(inner: list[str], state: PathState) -> bool:
    if not inner:
        return False
    whole = state.gold.kind == "dir" and inner[-1] in _TEST_FOLDERS
    return whole or bool(_TEST_FOLDERS & set(inner[:-1])) or _TEST_FILE.fullmatch(inner[-1]) is not None

"""What kind of place a path is: may a policy's own file take part in a test run, and could it steer one?"""

from __future__ import annotations

import re

from cligym_env.core import Gold

__all__ = ["MACHINERY", "is_temporary", "may_be_own", "steers"]

_TEMPORARY = re.compile(r"/(tmp|var/tmp|run|var/run|var/lock|dev|proc|sys|var/log|var/cache)(/|$)")
_DATA = re.compile(r"/(srv|var/spool|var/lib/(?!dpkg/|apt/|pam/|systemd/))")
_TESTS = re.compile(r"(^|/)(tests?|testing)(/|$)|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
_CONFIGURATION = re.compile(
    r"(^|/)(pytest\.ini|\.pytest\.ini|pyproject\.toml|setup\.cfg|tox\.ini|\.coveragerc|CTestTestfile\.cmake"
    r"|CTestCustom\.cmake|DartConfiguration\.tcl)$"
)
_RULES = (
    ("test", _TESTS),
    ("configuration", _CONFIGURATION),
    ("start-up hook", re.compile(r"(\.pth|/(site|user)customize(\.py|/.*)?|\.egg-link)$")),
    ("virtual environment", re.compile(r"(^|/)pyvenv\.cfg$")),
    ("loader", re.compile(r"^/etc/ld\.so\.(preload|cache|conf)|/ld-linux[^/]*$|^/etc/ld\.so\.conf\.d/")),
    ("bytecode", re.compile(r"\.pyc$|/__pycache__(/|$)")),
    ("library", re.compile(r"\.so(\.[\d.]+)?$|\.pyd$")),
    ("interpreter", re.compile(r"/(python[\d.]*|pypy[\d.]*|bash|sh|dash|env)$")),
    ("standard library", re.compile(r"^/usr/(local/)?lib/python3")),
    ("installed package", re.compile(r"/(site|dist)-packages(/|$)")),
    ("entry point", re.compile(r"/entry_points\.txt$")),
    ("program", re.compile(r"^/(usr/|usr/local/|opt/[^/]+/)?s?bin(/|$)")),
    ("system configuration", re.compile(r"^/(etc|usr/etc)(/|$)")),
    ("shell start-up", re.compile(r"^/(root|home/[^/]+)/\.[^/]+")),
    ("library folder", re.compile(r"^/(usr/|usr/local/)?lib\d*(/|$)")),
)

MACHINERY = frozenset(name for name, _ in _RULES)
"""The classes of paths that could steer a test run."""


def is_temporary(path: str) -> bool:
    """Whether a path lies where nothing lasts."""
    return _TEMPORARY.match(path) is not None


def steers(path: str, gold: Gold) -> str:
    """The class of a path that could steer a test run; empty for any other.

    Args:
        path: absolute.
        gold: whose work folder counts as code under test.
    """
    for name, pattern in _RULES:
        if pattern.search(path):
            return name
    return "work folder" if path.startswith(gold.workdir + "/") else ""


def may_be_own(path: str, gold: Gold) -> bool:
    """Whether a policy's own file may stand here in a test run, if what it holds is found harmless.

    That is the repository itself, without what tests or configures it, and places for data.
    """
    if _DATA.match(path):
        return True
    if path[len(gold.workdir) + 1 :] in {test.partition("::")[0] for test in gold.passing}:
        return False  # a test file by another name
    inside = path.startswith(gold.workdir + "/") and "/.git/" not in path[len(gold.workdir) :] + "/"
    return inside and steers(path, gold) == "work folder"

"""Runs INSIDE a throw-away sandbox: tells which tests are collected when a module cannot be imported.

Standard input: JSON, the runner's arguments, the node ids that pass, the names of modules. Prints
one JSON line per module: ``[module, how many of the ids are not collected any more]``. Every try
runs in a forked child, so that none has what another one imported.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["main"]

_ARGS = (
    "--collect-only",
    "-q",
    "-p",
    "no:cacheprovider",
    "-o",
    "addopts=",
    "--continue-on-collection-errors",
)


class _Collected:
    """A plug-in that keeps the node ids."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def pytest_collection_finish(self, session: Any) -> None:
        """Keep what the session would run."""
        self.ids = [item.nodeid for item in session.items]


def main(args: list[str], passing: list[str], modules: list[str], out: int) -> None:
    """Collect the suite once for every module, without that module.

    Args:
        args: of pytest, as the gold has them.
        passing: node ids.
        modules: names; none of them is imported yet.
        out: descriptor for the lines; what pytest prints goes to nowhere.
    """
    import pytest  # noqa: PLC0415  (the sandbox has it, this package need not)

    for name in modules:
        child = os.fork()
        if not child:
            try:
                sys.modules[name] = None  # type: ignore[assignment]
                collected = _Collected()
                pytest.main([*_ARGS, *args], plugins=[collected])
                n_lost = len(set(passing) - set(collected.ids))
                os.write(out, (json.dumps([name, n_lost]) + "\n").encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    told = json.load(sys.stdin)
    descriptor = os.dup(1)
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    os.dup2(1, 2)
    sys.path[0] = os.getcwd()
    main(told[0], told[1], told[2], descriptor)

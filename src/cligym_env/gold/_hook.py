"""Runs INSIDE a throw-away sandbox, in every Python that starts there: notes what it uses.

The file is written into the sandbox as text and loaded from a ``.pth``; it imports nothing but the
standard library. What it saw goes to one JSON file per process in the folder beside it.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from types import FrameType
from typing import Any

__all__ = ["start"]

_NOISE = ("/_pytest/", "/pytest/", "/pluggy/", "/pytest_timeout.py", "/subprocess.py")
_THROUGH = ("<frozen os>", "<frozen _collections_abc>", "/os.py", "/_collections_abc.py")
_EVENTS = tuple(
    f"{module}."
    for module in (
        *("_thread", "ctypes", "fcntl", "glob", "marshal", "mmap", "os", "pickle", "pty", "shutil"),
        *("signal", "socket", "sqlite3", "subprocess", "tempfile", "urllib", "webbrowser"),
    )
)
_CO_OPTIMIZED = 1
_MAX_TRACED = 3000
_WHOLE = ("copy", "__iter__", "keys", "items", "values")

_started: list[str] = []


def start(folder: str, workdir: str) -> None:
    """Watch this process from now on.

    Args:
        folder: gets ``<pid>.json`` at the process's end; writable for everybody.
        workdir: functions in files below it are noted.
    """
    if _started:  # site reads the folder again when something calls it
        return
    _started.append(folder)
    seen = _Seen(folder, workdir.rstrip("/") + "/")
    environment = type(os.environ)
    plain = environment.__getitem__

    def getitem(self: Any, key: Any) -> Any:
        if isinstance(key, str) and _wanted(sys._getframe(1)):
            seen.variables.add(key)
        return plain(self, key)

    environment.__getitem__ = getitem  # type: ignore[method-assign]
    leave = os._exit

    def exit_now(status: int) -> Any:
        seen.dump()
        leave(status)

    os._exit = exit_now
    atexit.register(seen.dump)
    sys.addaudithook(seen.audit)
    sys.settrace(seen.trace)
    threading.settrace(seen.trace)


def _wanted(frame: FrameType | None) -> bool:
    """Whether a read of a variable was asked for by name, and not by the runner."""
    while frame is not None and frame.f_code.co_filename.endswith(_THROUGH):
        if frame.f_code.co_name in _WHOLE:
            return False
        frame = frame.f_back
    return frame is not None and not any(part in frame.f_code.co_filename for part in _NOISE)


class _Seen:
    """What one process used."""

    def __init__(self, folder: str, prefix: str) -> None:
        self.folder = folder
        self.prefix = prefix
        self.variables: set[str] = set()
        self.initial = dict(os.environ)
        self.calls: dict[tuple[str, str], set[bytes]] = {}
        self.events: dict[str, set[bytes]] = {}
        self.test = b""
        self.lines: dict[str, set[int]] = {}
        self.n_traced: dict[Any, int] = {}
        self.known: dict[Any, set[bytes] | None] = {}
        self.data: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]

    def trace(self, frame: FrameType, _event: str, _argument: object) -> Any:
        """Note a call of a function below the work folder, and in which test it was, if in any."""
        code = frame.f_code
        try:
            tests = self.known[code]
        except KeyError:
            tests = None
            # Without that flag it is the body of a class, or of a module.
            function = code.co_flags & _CO_OPTIMIZED and not code.co_name.startswith("<")
            if function and code.co_filename.startswith(self.prefix):
                tests = self.calls.setdefault((code.co_filename, code.co_qualname), set())
            self.known[code] = tests
        if tests is None:
            return None
        # A test that empties the environment is still the one that runs.
        test = self.test = self.data.get(b"PYTEST_CURRENT_TEST") or self.test
        if test or "pytest" in sys.modules:
            tests.add(test.rpartition(b" (")[0])
        self.n_traced[code] = self.n_traced.get(code, 0) + 1
        # After that many calls hardly a new line is seen, and a busy function gets slow.
        return self.line if test and self.n_traced[code] < _MAX_TRACED else None

    def line(self, frame: FrameType, event: str, _argument: object) -> Any:
        """Note one line of such a function."""
        if event == "line":
            self.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return self.line

    def audit(self, event: str, _arguments: object) -> None:
        """Note an event that a policy could forbid, and in which test it was."""
        if event.startswith(_EVENTS):
            test = self.data.get(b"PYTEST_CURRENT_TEST")
            if test:
                self.events.setdefault(event, set()).add(test.rpartition(b" (")[0])

    def dump(self) -> None:
        """Write the file; a later call of the same process replaces it."""
        sys.settrace(None)
        modules = {
            name: module.__file__
            for name, module in list(sys.modules.items())
            if isinstance(getattr(module, "__file__", None), str)
        }
        import json  # noqa: PLC0415  (here, so that it does not count as a module of the tests)

        with open("/proc/self/maps") as stream:
            mapped = {line.split(None, 5)[5].strip() for line in stream if line.count("/")}
        noted = [*self.calls.values(), *self.events.values()]
        ids = sorted({test for tests in noted for test in tests})
        places = {test: number for number, test in enumerate(ids)}
        content = {
            "modules": modules,
            "mapped": sorted(mapped),
            "variables": {name: self.initial.get(name) for name in sorted(self.variables)},
            "lines": {file: sorted(lines) for file, lines in self.lines.items()},
            "tests": [test.decode("utf-8", "replace") for test in ids],
            "events": [
                [event, sorted(places[test] for test in tests)] for event, tests in self.events.items()
            ],
            "calls": [[*key, sorted(places[test] for test in tests)] for key, tests in self.calls.items()],
        }
        path = f"{self.folder}/{os.getpid()}.json"
        with open(path + ".part", "w") as stream:
            json.dump(content, stream)
        os.rename(path + ".part", path)

"""Run pytest inside a sandbox, as the tests' own user, and write one record per event.

Descriptor 0 brings the settings, a Python literal with ``args``, ``only`` and ``canaries``;
descriptor 3 takes the records: JSON arrays, one a line, ``[number, kind, ...]`` with numbers from 0:

- ``start``; ``broken`` and the node id of a file that cannot be collected;
- ``items`` and the list of node ids that will run, in order;
- ``report``, position in that list, phase, outcome, whether an expected failure, whether a subtest;
- ``end`` and pytest's exit status.

What is imported before pytest is frozen into the interpreter: a module in the work folder that
shadows one of the standard library must meet the suite as it would with ``python -m pytest``.
"""

import os
import sys

TYPE_CHECKING = False  # the typing module imports half of the library
if TYPE_CHECKING:
    from typing import Any


def _text(value: str) -> str:
    """JSON for a string, without the json module; lone surrogates stay as they are."""
    out = []
    for char in value:
        code = ord(char)
        if char in '"\\' or not 32 <= code < 127:
            if code > 0xFFFF:
                code -= 0x10000
                out.append(f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}")
            else:
                out.append(f"\\u{code:04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def _json(value: "Any") -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_json, value)) + "]"
    return str(int(value))


class _Records:
    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.n_written = 0
        self.owner = os.getpid()

    def write(self, kind: str, *fields: "Any") -> None:
        if os.getpid() != self.owner:  # a forked test process ran into our hooks
            return
        data = (_json([self.n_written, kind, *fields]) + "\n").encode()
        self.n_written += 1
        while data:
            data = data[os.write(self.descriptor, data) :]


def _plugin(pytest: "Any", records: _Records, only: frozenset[str]) -> "Any":
    class Recorder:
        def __init__(self) -> None:
            self.positions: dict[int, int] = {}
            self.position = -1

        @pytest.hookimpl(trylast=True)  # type: ignore[untyped-decorator]
        def pytest_collection_modifyitems(self, config: "Any", items: "list[Any]") -> None:
            if only:
                dropped = [item for item in items if item.nodeid not in only]
                items[:] = [item for item in items if item.nodeid in only]
                config.hook.pytest_deselected(items=dropped)

        def pytest_collectreport(self, report: "Any") -> None:
            if report.failed:
                records.write("broken", report.nodeid)

        @pytest.hookimpl(trylast=True)  # type: ignore[untyped-decorator]
        def pytest_collection_finish(self, session: "Any") -> None:
            self.positions = {id(item): position for position, item in enumerate(session.items)}
            records.write("items", [item.nodeid for item in session.items])

        @pytest.hookimpl(tryfirst=True)  # type: ignore[untyped-decorator]
        def pytest_runtest_protocol(self, item: "Any") -> None:
            self.position = self.positions.get(id(item), -1)

        def pytest_runtest_logreport(self, report: "Any") -> None:
            expected, subtest = hasattr(report, "wasxfail"), hasattr(report, "context")
            records.write("report", self.position, report.when, report.outcome, expected, subtest)

    return Recorder()


def _canary(pytest: "Any", canaries: frozenset[str]) -> "Any":
    class Canary:
        """Makes chosen tests fail after they ran."""

        @pytest.hookimpl(hookwrapper=True, trylast=True)  # type: ignore[untyped-decorator]
        def pytest_runtest_call(self, item: "Any") -> "Any":
            outcome = yield
            if item.nodeid in canaries and outcome.excinfo is None:
                outcome.force_exception(AssertionError())

    return Canary()


def _main() -> None:
    with open(0, "rb", closefd=False) as stream:
        settings: dict[str, Any] = eval(stream.read(), {"__builtins__": {}})  # noqa: S307
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(3, 250, inheritable=False)
    os.close(3)
    if sys.path and sys.path[0] == "":
        sys.path[0] = os.getcwd()  # as python -m pytest has it
    records = _Records(250)
    records.write("start")
    import pytest  # noqa: PLC0415

    sys.argv = ["pytest", *settings["args"]]
    plugins = [_plugin(pytest, records, frozenset(settings["only"]))]
    if settings["canaries"]:
        plugins.append(_canary(pytest, frozenset(settings["canaries"])))
    status = int(pytest.main(settings["args"], plugins=plugins))
    sys.stdout.flush()
    sys.stderr.flush()
    records.write("end", status)
    os._exit(status)


if __name__ == "__main__":
    _main()

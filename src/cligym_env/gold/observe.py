"""What the passing suite of a gold really uses: seen while it runs, never guessed.

Two observers work in one throw-away sandbox. The kernel tells which files are opened (inotify, see
``_watch.py``), whatever the language. Every Python of the virtual environment tells about itself
(see ``_hook.py``): modules, libraries mapped at the end, variables read, functions called. The same
is done for an empty run of the runner, and what that needs too is left out where a fault in it
could only break everything.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cligym_env import environ, plugins
from cligym_env.core import Gold, Sandbox, Usage
from cligym_env.errors import GoldError

__all__ = ["MAX_BYTES", "observe"]

logger = logging.getLogger("cligym_env.gold")

MAX_BYTES = 40_000
"""A usage is at most this long as JSON."""

_FOLDER = "/var/tmp/.observation"
_PURELIB = "/opt/venv/lib/python3.11/site-packages"
_START_TIMEOUT_S = 120.0
_IMPORTS_TIMEOUT_S = 900.0
_WATCHED = ("/etc", "/usr", "/opt/venv", "/home", "/root", "/var/lib")
_NOISE = re.compile(
    r"/(proc|sys|dev|run|tmp|var/tmp)/|/__pycache__/|/\.pytest_cache/|/\.hypothesis/|/\.git/|\.pyc$"
    r"|/\.bash|/\.profile$|/ld\.so\.(cache|preload)$|/(zz_observe\.pth|pyvenv\.cfg)$"
)
_TESTS = re.compile(r"/(tests?|testing)/|/test_[^/]*$|_tests?\.py$|/conftest\.py$")
_OWN_VARIABLES = re.compile(r"PYTEST|COLUMNS$|LINES$|_PYTEST")
_METADATA = re.compile(r"\.(dist|egg)-info/")
# Enough to draw from, small enough to read.
_MAX_MODULES = 220
_MAX_FUNCTIONS = 240
_MAX_BLOCKED = 70


@dataclass
class _Seen:
    """What one observed run told, raw."""

    modules: dict[str, str] = field(default_factory=dict)
    mapped: set[str] = field(default_factory=set)
    variables: dict[str, str | None] = field(default_factory=dict)
    calls: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    lines: dict[str, set[int]] = field(default_factory=dict)
    events: dict[str, set[str]] = field(default_factory=dict)
    importers: dict[str, int] = field(default_factory=dict)
    programs: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    created: set[str] = field(default_factory=set)


def observe(gold: Gold, sandbox: Sandbox) -> Usage:
    """Run the passing suite once under observation.

    Args:
        gold: with its passing set, if it is known already.
        sandbox: a running gold sandbox, used up by this: hooks stay behind in it.

    Returns:
        Sorted, capped, and the same for two runs of a suite that does the same twice.

    Raises:
        GoldError: the suite does not come to an end under observation.
    """
    python = _hooked(gold, sandbox)
    empty = _run(gold, sandbox, lambda: _empty_run(gold, sandbox))

    def suite() -> None:
        result = plugins.create("runners", gold.runner).run(gold, sandbox, timeout_s=3 * gold.timeout_s)
        lost = set(gold.passing) - result.passed
        if not result.complete:
            raise GoldError(
                f"gold {gold.name}: the suite did not end under observation: {result.log[-300:]}"
            )
        if lost:
            logger.warning("gold %s: %d tests fail under observation", gold.name, len(lost))

    variables = environ.of(gold, sandbox, user=gold.user)
    seen = _run(gold, sandbox, suite)
    if python:
        modules = {name: file for name, file in seen.modules.items() if name not in empty.modules}
        seen.importers = _importers(gold, sandbox, variables, modules)
    return _usage(gold, seen, empty, variables)


def _hooked(gold: Gold, sandbox: Sandbox) -> bool:
    """Put the hook into the virtual environment; whether there is a Python that loads it."""
    sandbox.exec(["mkdir", "-m", "1777", "-p", _FOLDER], timeout_s=_START_TIMEOUT_S)
    found = sandbox.exec(["test", "-d", _PURELIB], timeout_s=_START_TIMEOUT_S)
    if gold.language != "python" or found.exit_code != 0:
        return False
    for name in ("_hook", "_watch"):
        sandbox.write(f"{_FOLDER}/code/observe{name}.py", _text(name).encode())
    line = f"import sys; sys.path.append({_FOLDER + '/code'!r}); import observe_hook"
    line += f"; observe_hook.start({_FOLDER!r}, {gold.workdir!r})"
    sandbox.write(f"{_PURELIB}/zz_observe.pth", (line + "\n").encode())
    return True


def _text(name: str) -> str:
    return Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")


def _empty_run(gold: Gold, sandbox: Sandbox) -> None:
    if gold.language != "python":
        # What these map has nothing to do with the repository.
        sandbox.exec("ctest --version; setpriv --version; python3 -c pass", timeout_s=_START_TIMEOUT_S)
        return
    sandbox.write(f"{_FOLDER}/empty/test_nothing.py", b"def test_nothing(): pass\n")
    sandbox.exec(
        ["/opt/venv/bin/python", "-m", gold.runner, "-q", "-p", "no:cacheprovider", "--rootdir=."],
        timeout_s=_START_TIMEOUT_S,
        user=gold.user,
        cwd=f"{_FOLDER}/empty",
        environ=environ.of(gold, sandbox, user=gold.user),
    )


def _importers(
    gold: Gold, sandbox: Sandbox, variables: Mapping[str, str], modules: Mapping[str, str]
) -> dict[str, int]:
    """Module or library → how many passing tests are not even collected without it.

    Args:
        gold: with its passing set.
        sandbox: the throw-away one.
        variables: of the run.
        modules: to try, with their files.
    """
    script = f"{_FOLDER}/code/observe_imports.py"
    sandbox.write(script, _text("_imports").encode())
    sandbox.exec(f"rm -f {_PURELIB}/zz_observe.pth", timeout_s=_START_TIMEOUT_S)
    tried = sorted(modules, key=lambda name: (name.count("."), not modules[name].endswith(".so"), name))
    done = sandbox.exec(
        ["/opt/venv/bin/python", script],
        timeout_s=_IMPORTS_TIMEOUT_S,
        user=gold.user,
        cwd=gold.workdir,
        environ=variables,
        stdin=json.dumps([list(gold.test_args), list(gold.passing), tried[:_MAX_BLOCKED]]).encode(),
    )
    found: dict[str, int] = dict(json.loads(line) for line in done.text.splitlines())
    extensions = [(name, modules[name]) for name in found if ".so" in modules[name]]
    for name, file in extensions:
        needed = sandbox.exec(["ldd", file], timeout_s=_START_TIMEOUT_S).text
        for library in (file, *re.findall(r"=> (/\S+)", needed)):
            real = sandbox.exec(["realpath", library], timeout_s=_START_TIMEOUT_S).text.strip()
            for path in {library, real}:
                found[path] = max(found.get(path, 0), found[name])
    return found


def _run(gold: Gold, sandbox: Sandbox, act: Callable[[], None]) -> _Seen:
    """Act between the start and the end of the watch, and gather what was told."""
    out = f"{_FOLDER}/opened"
    sandbox.exec(f"rm -f {out}* {_FOLDER}/*.json", timeout_s=_START_TIMEOUT_S)
    sandbox.write(f"{_FOLDER}/code/observe_watch.py", _text("_watch").encode())
    shell = sandbox.shell()
    try:
        watch = shlex.join(
            ["/usr/bin/python3", f"{_FOLDER}/code/observe_watch.py", out, *_WATCHED, gold.workdir]
        )
        shell.run(f"{watch} > /dev/null 2>&1 &", timeout_s=_START_TIMEOUT_S)
        _wait(sandbox, f"{out}.ready")
        act()
        sandbox.write(f"{out}.stop", b"")
        _wait(sandbox, out)
    finally:
        shell.close()
    seen = _Seen()
    opened = json.loads(sandbox.read(out))
    if opened["lost"]:
        logger.warning("gold %s: the kernel dropped some notes of opened files", gold.name)
    seen.programs, seen.libraries = set(opened["programs"]), set(opened["libraries"])
    seen.files, seen.created = set(opened["files"]), set(opened["created"])
    listed = sandbox.exec(f"ls {_FOLDER} | grep 'json$'", timeout_s=_START_TIMEOUT_S).text.split()
    for name in sorted(listed):
        _add(seen, json.loads(sandbox.read(f"{_FOLDER}/{name}")))
    return seen


def _wait(sandbox: Sandbox, path: str) -> None:
    command = f"for i in $(seq 1200); do [ -e {path} ] && exit 0; sleep 0.05; done; exit 1"
    for _ in range(3):
        if sandbox.exec(command, timeout_s=_START_TIMEOUT_S).exit_code == 0:
            return
        time.sleep(0.1)
    raise GoldError(f"the observation of opened files does not answer ({path})")


def _add(seen: _Seen, told: Mapping[str, Any]) -> None:
    seen.modules.update(told["modules"])
    seen.mapped.update(told["mapped"])
    # The first process that reads a variable has it as the run was started.
    for name, value in told["variables"].items():
        seen.variables.setdefault(name, value)
    for file, function, places in told["calls"]:
        tests = seen.calls.setdefault((file, function), set())
        tests.update(told["tests"][place] for place in places)
    for file, lines in told["lines"].items():
        seen.lines.setdefault(file, set()).update(lines)
    for event, places in told["events"]:
        seen.events.setdefault(event, set()).update(told["tests"][place] for place in places)


# ── from what was told to a usage ───────────────────────────────────────────────────────────


def _usage(gold: Gold, seen: _Seen, empty: _Seen, variables: Mapping[str, str]) -> Usage:
    def own(path: str) -> bool:
        inside = path.startswith(gold.workdir + "/")
        return not _NOISE.search(path) and not (inside and _TESTS.search(path.removeprefix(gold.workdir)))

    modules = {
        name: file
        for name, file in seen.modules.items()
        if name not in empty.modules and name != "__main__" and own(file)
    }
    libraries = (seen.mapped | seen.libraries) - empty.mapped - empty.libraries
    bare = {path for path in empty.files if _METADATA.search(path)}
    plain = (path for path in seen.files - bare if not path.endswith((".py", ".so")))
    read = sorted(name for name in seen.variables if not _OWN_VARIABLES.match(name))
    written = {path.rpartition("/")[0] for path in seen.created}
    kept = _modules(modules, gold.workdir)
    mapped = _paths((path for path in libraries if ".so" in path and own(path)), 60)
    return _capped(
        Usage(
            modules=kept,
            libraries=mapped,
            files=_paths(filter(own, plain), 160),
            variables={name: variables.get(name) for name in read[:60]},
            programs=_paths(filter(own, seen.programs - empty.programs), 40),
            lines={file: _ranges(lines) for file, lines in sorted(seen.lines.items()) if own(file)},
            functions=_functions(seen.calls, own, gold.workdir),
            written=_paths((path for path in written if own(path + "/")), 20),
            events={event: len(tests) for event, tests in sorted(seen.events.items())},
            importers={name: seen.importers[name] for name in (*kept, *mapped) if name in seen.importers},
        )
    )


def _paths(paths: Iterable[str], most: int) -> tuple[str, ...]:
    """Sort, without repeats; of a folder with very many, what comes first."""
    return tuple(sorted(set(paths))[:most])


def _modules(modules: Mapping[str, str], workdir: str) -> dict[str, str]:
    """The repository's own first, then the other top-level ones, then the rest."""

    def rank(name: str) -> tuple[bool, int, str]:
        return not modules[name].startswith(workdir), name.count("."), name

    return {name: modules[name] for name in sorted(sorted(modules, key=rank)[:_MAX_MODULES])}


def _functions(
    calls: Mapping[tuple[str, str], set[str]], own: Callable[[str], bool], workdir: str
) -> dict[str, dict[str, int]]:
    """Functions by file, those that the fewest tests call first when there are too many."""
    called = [
        (len(tests), file, function.replace(".<locals>", ""))
        for (file, function), tests in calls.items()
        # What is called outside of any test is needed to import something: all would fail.
        if tests and "" not in tests and own(file) and "<" not in function.replace(".<locals>", "")
    ]
    found: dict[str, dict[str, int]] = {}
    for n_tests, file, function in sorted(sorted(called)[:_MAX_FUNCTIONS], key=lambda row: row[1:]):
        found.setdefault(file, {})[function] = n_tests
    return found


def _ranges(numbers: Iterable[int]) -> str:
    """Write line numbers short: ``3-9,14``."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in found)


def _capped(usage: Usage) -> Usage:
    """Shorten the longest parts until the whole is small enough to ship."""
    while len(json.dumps(asdict(usage), ensure_ascii=True)) > MAX_BYTES:
        modules = dict(list(usage.modules.items())[: len(usage.modules) * 4 // 5])
        importers = {name: n for name, n in usage.importers.items() if name in modules or "/" in name}
        files = usage.files[: len(usage.files) * 4 // 5]
        functions = dict(list(usage.functions.items())[: max(1, len(usage.functions) * 9 // 10)])
        lines = {file: text for file, text in usage.lines.items() if file in functions}
        usage = replace(
            usage, lines=lines, modules=modules, files=files, functions=functions, importers=importers
        )
    return usage

"""What fault families share: a frame for a family, and a look around in a running gold.

A family is one function that looks at a gold and yields drafts; ``Family`` makes inversions of
them. Everything a family draws from is either ``gold.usage``, which was observed, or what ``Look``
finds in the sandbox. Nothing in here changes the sandbox.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

from cligym_env import environ
from cligym_env.core import Gold, Inversion, Sandbox

__all__ = [
    "IS_TEST",
    "PYTHON",
    "SITE",
    "STDLIB",
    "ZONES",
    "Draft",
    "Family",
    "Look",
    "Node",
    "Site",
    "q",
    "replace_in_line",
    "shuffled",
    "swap_line",
]

PYTHON = "/opt/venv/bin/python"
SITE = "/opt/venv/lib/python3.11/site-packages"
STDLIB = "/usr/lib/python3.11"
ZONES = "/usr/share/zoneinfo/"
MAX_REACH = 0.9
"""A module that this share of the tests cannot do without is no good place: all would fail."""

IS_TEST = re.compile(r"(^|/)(tests?|testing|conftest\.py|test_[^/]*|[^/]*_tests?\.py)(/|$)")
_CONFIGURATION = re.compile(
    r"/(pyproject\.toml|setup\.cfg|tox\.ini|pytest\.ini|MANIFEST\.in|PKG-INFO|\.git\w*)$|\.(egg|dist)-info/|/build/"
)
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Draft:
    """An inversion before it knows its gold and family.

    Attributes:
        commands: typed as root into one shell of a gold sandbox.
        solution: typed as root into one shell of the broken sandbox.
        hint: one sentence that points at the cause, without path or command.
        parameters: what was drawn.
    """

    commands: Sequence[str]
    solution: Sequence[str]
    hint: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Family:
    """A fault family made of one function.

    Attributes:
        name: the plug-in's name.
        category: one of ``core.CATEGORIES``.
        drafts: yields drafts for what it sees, the most promising first.
    """

    name: str
    category: str
    drafts: Callable[[Look, Random], Iterator[Draft]]

    def propose(self, gold: Gold, sandbox: Sandbox, rng: Random) -> Iterator[Inversion]:
        """Yield inversions for a gold; see ``core.FaultFamily``."""
        for draft in self.drafts(Look(gold, sandbox), rng):
            yield Inversion(
                gold=gold.name,
                family=self.name,
                category=self.category,
                commands=tuple(draft.commands),
                solution=tuple(draft.solution),
                hint=draft.hint,
                parameters=dict(draft.parameters),
            )


@dataclass(frozen=True, slots=True)
class Node:
    """One path of the sandbox, links not followed; ``kind`` is empty for what is not there.

    Attributes:
        kind: ``file``, ``dir``, ``link`` or nothing.
        mode: permission bits.
        owner: ``user:group``.
        size_bytes: of the file.
        target: of the link.
        real: the path with all links followed.
    """

    kind: str
    mode: int
    owner: str
    size_bytes: int
    target: str
    real: str


@dataclass(frozen=True, slots=True)
class Site:
    """One place that can change.

    Attributes:
        line: its number, from 1.
        column: in characters; only plain ASCII lines are used, so bytes count the same.
        old: what stands there.
        new: what would stand there.
    """

    line: int
    column: int
    old: str
    new: str


_STAT = """
import grp, json, os, pwd, stat, sys
found = {}
for path in json.load(sys.stdin):
    try:
        state = os.lstat(path)
    except OSError:
        continue
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
    kind = kinds.get(stat.S_IFMT(state.st_mode), "")
    owner = pwd.getpwuid(state.st_uid).pw_name + ":" + grp.getgrgid(state.st_gid).gr_name
    target = os.readlink(path) if kind == "link" else ""
    found[path] = [kind, state.st_mode & 0o7777, owner, state.st_size, target, os.path.realpath(path)]
print(json.dumps(found))
"""
_NOTHING = Node("", 0, "", 0, "", "")


class Look:
    """A look around in a running gold.

    Args:
        gold: with its usage.
        sandbox: running, not changed by any of this.
    """

    def __init__(self, gold: Gold, sandbox: Sandbox) -> None:
        self.gold = gold
        self.usage = gold.usage
        self._sandbox = sandbox

    def run(self, command: str | Sequence[str], *, stdin: bytes = b"", user: str = "root") -> str:
        """Run something that only looks; its output, or nothing when it fails."""
        done = self._sandbox.exec(
            command,
            timeout_s=_TIMEOUT_S,
            user=user,
            cwd=self.gold.workdir,
            environ=environ.of(self.gold, self._sandbox, user=user),
            stdin=stdin,
        )
        return done.text if done.exit_code == 0 else ""

    def python(self, script: str, argument: Any = None, *, interpreter: str = "/usr/bin/python3") -> Any:
        """Run a script that reads JSON and prints JSON; ``None`` when it fails."""
        said = self.run([interpreter, "-I", "-c", script], stdin=json.dumps(argument).encode())
        try:
            return json.loads(said)
        except ValueError:
            return None

    def nodes(self, paths: Iterable[str]) -> dict[str, Node]:
        """Give the state of those of the paths that exist, in the order asked."""
        asked = list(dict.fromkeys(paths))
        found = self.python(_STAT, asked) or {}
        return {path: Node(*found[path]) for path in asked if path in found}

    def node(self, path: str) -> Node:
        """Give the state of one path."""
        return self.nodes([path]).get(path, _NOTHING)

    def data(self, path: str) -> bytes:
        """Give a file's bytes, nothing when it cannot be read."""
        try:
            return self._sandbox.read(path, max_bytes=8 << 20)
        except (FileNotFoundError, OverflowError):
            return b""

    def text(self, path: str) -> str:
        """Give a file as text, nothing when it is no UTF-8 text."""
        try:
            return self.data(path).decode()
        except UnicodeDecodeError:
            return ""

    @cached_property
    def n_tests(self) -> int:
        """How many tests of the gold pass."""
        return len(self.gold.passing)

    def partly(self, name: str) -> bool:
        """Whether some tests, but not (nearly) all, are lost without a module or library."""
        return 0 < self.usage.importers.get(name, 0) <= MAX_REACH * self.n_tests

    def lazily(self, name: str) -> bool:
        """Whether a module from an installed distribution is imported only while tests run."""
        file = self.usage.modules.get(name, "")
        return file.startswith(SITE) and self.usage.importers.get(name) == 0

    def own(self, path: str) -> bool:
        """Whether a path belongs to the repository under test and is none of its tests."""
        prefix = self.gold.workdir + "/"
        return path.startswith(prefix) and not IS_TEST.search(path.removeprefix(prefix))

    @cached_property
    def sources(self) -> dict[str, str]:
        """Python files of the repository that the tests import, and the module each of them is."""
        return {
            file: name
            for name, file in self.usage.modules.items()
            if self.own(file) and file.endswith(".py")
        }

    def functions(self, *, least: int = 1, most: int = 120) -> list[tuple[str, str, int]]:
        """Functions that the tests call: file, qualified name, number of tests; sorted."""
        return [
            (file, function, n_tests)
            for file, functions in sorted(self.usage.functions.items())
            if self.own(file)
            for function, n_tests in sorted(functions.items())
            if least <= n_tests <= min(most, self.n_tests - 1)
        ]

    def lines(self, file: str) -> Container[int]:
        """Give the numbers of the lines of a source that ran inside tests; all when that is unknown."""
        if file not in self.usage.lines:
            return range(1 << 20)
        spans = [span.partition("-") for span in self.usage.lines[file].split(",") if span]
        return {n for first, _, last in spans for n in range(int(first), int(last or first) + 1)}

    @cached_property
    def data_files(self) -> list[str]:
        """Files of the repository that the tests read, without its sources and its configuration."""
        return [
            path
            for path in self.usage.files
            if self.own(path) and not _CONFIGURATION.search(path) and path not in self.sources
        ]

    @cached_property
    def extensions(self) -> list[str]:
        """Compiled modules and shared libraries that a part of the tests loads."""
        if self.gold.language != "python":
            return sorted(path for path in self.usage.libraries if path.startswith("/usr/local/"))
        mapped = {path: path for path in self.usage.libraries}
        mapped.update({file: name for name, file in self.usage.modules.items() if ".so" in file})
        return sorted(path for path, name in mapped.items() if self.partly(name) or self.partly(path))

    @cached_property
    def zones(self) -> list[str]:
        """Time zones that the tests name and that the system's database has, when they read it at all."""
        if not any(path.startswith(ZONES) and not path.endswith("/UTC") for path in self.usage.files):
            return []
        # What a test only expects as a result is not read for that.
        lines = [line for line in self.test_text.split("\n") if not line.strip().startswith("assert")]
        named = sorted(set(re.findall(r"[\"':]([A-Z]\w+/[A-Z]\w+)[\"']", "\n".join(lines))))
        return [name for name in named if ZONES + name in self.nodes(ZONES + name for name in named)]

    @cached_property
    def own_text(self) -> str:
        """All sources of the repository that the tests import, one after the other."""
        return "\n".join(self.text(file) for file in sorted(self.sources))

    @cached_property
    def test_text(self) -> str:
        """All test files, one after the other."""
        files = sorted({test.partition("::")[0] for test in self.gold.passing if "::" in test})
        return "\n".join(self.text(f"{self.gold.workdir}/{file}") for file in files)


def shuffled(items: Iterable[Any], rng: Random) -> list[Any]:
    """Sort what can be sorted and shuffle it, so that only the seed decides."""
    found = sorted(items)
    rng.shuffle(found)
    return found


def q(text: str) -> str:
    """Quote a word for bash, only where it needs it."""
    return shlex.quote(text)


def _sed_plain(text: str) -> str:
    return re.sub(r"([\\/.*\[\]^$&])", r"\\\1", text)


def replace_in_line(line: str, start: int, old: str, new: str) -> str | None:
    """Give a sed substitution that replaces ``old`` at one place of a line, and nothing else.

    Args:
        line: the whole line, without its end.
        start: position of ``old`` in it.
        old: what stands there.
        new: what shall stand there.

    Returns:
        ``s/…/…/`` with as much context as it needs; ``None`` when the line is too odd for it.
    """
    if line[start : start + len(old)] != old or not line.isascii() or "\t" in line:
        return None
    for width in range(len(line)):
        left = max(0, start - width)
        right = min(len(line), start + len(old) + width)
        context = line[left:right]
        if line.index(context) == left:
            changed = line[left:start] + new + line[start + len(old) : right]
            return f"s/{_sed_plain(context)}/{_sed_plain(changed)}/"
    return None


def swap_line(path: str, line: str, site: Site) -> tuple[str, str] | None:
    """Give the command that changes one place of a line, and the one that changes it back.

    Args:
        path: the file.
        line: the whole line, without its end.
        site: what to change in it.
    """
    at, old, new = site.column, site.old, site.new
    there = replace_in_line(line, at, old, new)
    back = replace_in_line(line[:at] + new + line[at + len(old) :], at, new, old)
    if there is None or back is None or "\n" in new or "\n" in old:
        return None
    return (
        f"sed -i {q(f'{site.line}{there}')} {q(path)}",
        f"sed -i {q(f'{site.line}{back}')} {q(path)}",
    )

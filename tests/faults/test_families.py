"""Every fault family: where it stands, what it is called, and that only its seed decides."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from cligym_env import plugins
from cligym_env.backends.fake import create
from cligym_env.core import CATEGORIES, Gold, Inversion, Sandbox, Source, Usage
from cligym_env.faults._common import Site, replace_in_line, swap_line

ROOT = Path(__file__).resolve().parents[2]
FAULTS = ROOT / "src" / "cligym_env" / "faults"
FAMILIES = plugins.names("faults")

# What the order of the work asks for by name → the family that is it.
WANTED = {
    "ELF header corruption": "elf-header",
    "a shadowing module": "shadow-module",
    "a planted .pth": "planted-pth",
    "a wrong package version": "wrong-version",
    "a broken symlink chain": "broken-symlink",
    "ownership": "ownership",
    "mode bits": "mode-bits",
    "locale": "locale-variable",
    "time zone data": "zone-data",
    "a certificate store": "certificate-store",
    "a loader path": "loader-path",
    "a shebang": "shebang",
    "a source-logic fault": "comparison",
    "a stale lock file": "stale-lock",
}

SOURCE = '''\
"""A module of a repository."""

import sys

LIMIT = 3


class Box:
    """Holds things."""

    def __init__(self, size=2, name="box", strict=False):
        self.items = []
        self.size = size
        self.name = name
        self.strict = strict

    def add(self, item):
        """Put something in, and tell how many there are."""
        if len(self.items) == self.size and not self.strict:
            raise ValueError("the box is full already")
        self.items.append(item)
        return len(self.items)

    def label(self):
        text = self.name.encode("utf-8")
        return text + b"\\r\\n"

    def volume(self, width, height):
        total = width * height + self.size
        if sys.platform == "win32":
            total += 1
        return total
'''
TESTS = """\
def test_full(box):
    with pytest.raises(ValueError, match="the box is full already"):
        box.add(1)
"""
IN_SOURCE = (
    *("arithmetic", "comparison", "condition", "constant", "default-value", "leaked-lock", "lock-owner"),
    *("lost-result", "message-text", "shared-state", "stale-lock", "version-guard", "wrong-codec"),
)


@pytest.fixture
def gold() -> Gold:
    """A made-up gold: one module, called by three tests of a larger suite."""
    functions = {"Box.__init__": 3, "Box.add": 3, "Box.label": 3, "Box.volume": 3}
    return Gold(
        name="box",
        source=Source("local", "/nowhere"),
        passing=tuple(f"tests/test_box.py::test_{number}" for number in range(20)),
        usage=Usage(
            modules={"box": "/testbed/box.py"},
            functions={"/testbed/box.py": functions},
            importers={"box": 20},
        ),
    )


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox of it."""
    backend = create(
        files={"/testbed/box.py": SOURCE.encode(), "/testbed/tests/test_box.py": TESTS.encode()}
    )
    image = backend.find("base")
    assert image is not None
    yield backend.start(image)
    backend.close()


def proposals(family: str, gold: Gold, sandbox: Sandbox, seed: int) -> list[Inversion]:
    return list(plugins.create("faults", family).propose(gold, sandbox, Random(seed)))


def test_there_are_enough_over_all_categories() -> None:
    assert len(FAMILIES) >= 20
    assert {plugins.create("faults", name).category for name in FAMILIES} == set(CATEGORIES)


@pytest.mark.parametrize("name", WANTED.values(), ids=WANTED.keys())
def test_what_was_asked_for_is_there(name: str) -> None:
    assert name in FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_named_after_its_file_in_the_folder_of_its_category(name: str) -> None:
    family = plugins.create("faults", name)
    assert family.name == name
    file = FAULTS / family.category.replace("-", "_") / f"{name.replace('-', '_')}.py"
    assert file.is_file()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_takes_chance_from_nowhere_but_its_argument(name: str) -> None:
    family = plugins.create("faults", name)
    file = FAULTS / family.category.replace("-", "_") / f"{name.replace('-', '_')}.py"
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not imported & {"time", "secrets", "uuid", "os", "socket", "datetime", "numpy"}


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_is_proposed_for_a_gold_that_uses_nothing(name: str, sandbox: Sandbox) -> None:
    bare = Gold(name="bare", source=Source("local", "/nowhere"), passing=("tests/test_a.py::test_a",))
    assert proposals(name, bare, sandbox, 1) == []


@pytest.mark.parametrize("name", IN_SOURCE)
def test_the_same_seed_gives_the_same_inversions(name: str, gold: Gold, sandbox: Sandbox) -> None:
    first = proposals(name, gold, sandbox, 7)
    assert first
    assert first == proposals(name, gold, sandbox, 7)
    assert all(inversion.family == name and inversion.gold == "box" for inversion in first)


def test_another_seed_draws_something_else(gold: Gold, sandbox: Sandbox) -> None:
    drawn = {proposals("constant", gold, sandbox, seed)[0].commands for seed in range(12)}
    assert len(drawn) > 1


@pytest.mark.parametrize("name", IN_SOURCE)
def test_a_change_of_a_source_compiles_and_its_solution_takes_it_back(
    name: str, gold: Gold, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "box.py"
    for inversion in proposals(name, gold, sandbox, 3):
        file.write_text(SOURCE)

        def play(commands: tuple[str, ...]) -> None:
            script = "set -e\n" + "\n".join(commands)
            for old, new in (("/testbed", str(tmp_path)), ("/var/lib", f"{tmp_path}/var")):
                script = script.replace(old, new)
            script = re.sub(r"chown \S+ ", "true ", script)
            subprocess.run(["bash", "-c", script], check=True)

        play(inversion.commands)
        broken = file.read_text()
        assert broken != SOURCE
        compile(broken, "box.py", "exec")
        play(inversion.solution)
        if name not in ("stale-lock", "lock-owner"):  # there the lock is taken away, and the code stays
            assert file.read_text() == SOURCE


@pytest.mark.parametrize("name", IN_SOURCE)
def test_a_hint_names_no_path_and_no_command(name: str, gold: Gold, sandbox: Sandbox) -> None:
    for inversion in proposals(name, gold, sandbox, 3):
        assert "/" not in inversion.hint
        assert "sed" not in inversion.hint.split()
        assert inversion.hint.endswith(".")


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ("    if a == b and c == d:", "==", "!="),
        ("    return [x*y/2 for x in '.*$^&[]']", "/", "*"),
        (r"    text = 'a\\n' + b'\r\n'", "'a", "'b"),
        ("x = x + x + x", "+", "-"),
        ("    if not a or not b:", "not ", ""),
        ("    if a or b:", "a", "not a"),
    ],
)
def test_a_line_is_changed_at_its_place_and_back(line: str, old: str, new: str, tmp_path: Path) -> None:
    file = tmp_path / "it's a file"
    for match in re.finditer(re.escape(old), line):
        file.write_text(f"first\n{line}\nlast\n")
        pair = swap_line(str(file), line, Site(2, match.start(), old, new))
        assert pair is not None
        subprocess.run(["bash", "-c", pair[0]], check=True)
        changed = line[: match.start()] + new + line[match.end() :]
        assert file.read_text() == f"first\n{changed}\nlast\n"
        subprocess.run(["bash", "-c", pair[1]], check=True)
        assert file.read_text() == f"first\n{line}\nlast\n"


def test_a_line_that_is_too_odd_is_left_alone() -> None:
    assert replace_in_line("größe == 1", 6, "==", "!=") is None
    assert replace_in_line("a == 1", 0, "==", "!=") is None


def test_the_document_lists_every_family_as_it_is() -> None:
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| ([\w-]+) \| ([^|]+) \|", text, re.MULTILINE)
    told = {name: (category, what.strip()) for name, category, what in rows if category in CATEGORIES}
    found = {}
    for name in FAMILIES:
        family = plugins.create("faults", name)
        file = FAULTS / family.category.replace("-", "_") / f"{name.replace('-', '_')}.py"
        summary = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").splitlines()[0]
        found[name] = (family.category, summary)
    assert told == found

"""What the documents say exists: links, files, commands with their options, and the first snippet runs."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from cligym_env import cli
from cligym_env.core import Backend

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|`)cligym ([a-z][^`\n#]*)", re.MULTILINE)
MODULE = re.compile(r"`(cligym_env(?:\.\w+)+)`")


def named(document: Path) -> str:
    return document.name


def blocks(document: Path, language: str) -> Iterator[str]:
    for found in BLOCK.finditer(document.read_text(encoding="utf-8")):
        if found[1] == language:
            yield found[2]


@cache
def help_of(*words: str) -> str:
    script = f"from cligym_env.cli import main; main({[*words, '--help']!r})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    return done.stdout if done.returncode == 0 else ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document: Path) -> None:
    targets = [link for link in LINK.findall(document.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in targets if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_commands_and_their_options_exist(document: Path) -> None:
    for line in COMMAND.findall(document.read_text(encoding="utf-8")):
        words = line.split()
        assert words[0] in cli.commands(), line
        group = words[:2] if len(words) > 1 and f"{words[0]} {words[1]}" in GROUPED else words[:1]
        shown = help_of(*group)
        assert shown, f"cligym {' '.join(group)} --help fails"
        options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
        assert [option for option in options if option not in shown.split()] == [], line


GROUPED = {
    f"{name} {word}"
    for name in ("gold", "task")
    for word in ("build", "list", "show", "check", "export", "lock", "import")
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_modules_that_are_named_exist(document: Path) -> None:
    for name in MODULE.findall(document.read_text(encoding="utf-8")):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            module, _, member = name.rpartition(".")
            assert hasattr(importlib.import_module(module), member), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_python_blocks_are_python(document: Path) -> None:
    for block in blocks(document, "python"):
        compile(block, str(document), "exec")


@pytest.mark.slow
def test_the_first_five_minutes(machines: Callable[[str], Backend], tmp_path: Path) -> None:
    """The README's first snippet, as it stands."""
    machines("embedded")
    done = subprocess.run(
        [sys.executable, "-c", next(blocks(ROOT / "README.md", "python"))],
        cwd=tmp_path,
        env={**os.environ, "CLIGYM_BACKEND": "embedded"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "unresolved" in done.stdout

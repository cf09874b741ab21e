"""The tasks in the package: each is whole, small, legal, and of a gold that is in the package too."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from cligym_env import admission, files, plugins, tasks
from cligym_env import gold as golds
from cligym_env.core import CATEGORIES

SHIPPED = Path(__file__).parents[2] / "envs" / "tasks"
FOLDERS = sorted(folder for folder in SHIPPED.iterdir() if folder.is_dir())
GYMNASIUM_ID = re.compile(r"^(?:([\w:-]+)/)?([\w:.-]+?)(?:-v(\d+))?$")


@pytest.fixture(scope="module")
def shipped():
    return [tasks.read(folder) for folder in FOLDERS]


def test_how_many_and_how_varied(shipped):
    assert len(shipped) >= 60
    assert {task.category for task in shipped} == set(CATEGORIES)
    assert len({task.gold for task in shipped}) >= 8
    assert len({task.family for task in shipped}) >= 16
    assert any(golds.load(task.gold).language != "python" for task in shipped)
    assert {task.split for task in shipped} == {"train", "test"}


def test_nothing_else_lies_there():
    assert [
        entry.name for entry in SHIPPED.iterdir() if not entry.is_dir() and entry.name != "README.md"
    ] == []


def test_no_two_are_the_same(shipped):
    commands = Counter((task.gold, task.inversion.commands) for task in shipped)
    assert max(commands.values()) == 1


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each(folder):
    task = tasks.read(folder)
    gold = golds.load(task.gold)
    match = GYMNASIUM_ID.fullmatch(f"CLIGym/{task.id}")
    assert match and match[3] is None and ":" not in task.id
    taken = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert taken <= tasks.MAX_FOLDER_BYTES
    assert task.gold_hash == gold.content_hash
    assert task.family in plugins.names("faults")
    assert task.category == plugins.create("faults", task.family).category
    assert set(task.fail_to_pass) <= set(gold.passing)
    assert len(task.fail_to_pass) + task.n_pass_to_pass == len(gold.passing)
    assert tuple(task.gates) == admission.GATES
    for guidance in (0, 1, 2):
        for hint in (False, True):
            text = tasks.instruction(task, gold, guidance=guidance, hint=hint)
            assert not tasks.leaks(text, task.inversion, task.paths)
    assert (folder / "instruction.md").read_text() == tasks.instruction(task, gold) + "\n"
    for script in ("tests/test.sh", "solution/solve.sh"):
        subprocess.run(["bash", "-n", str(folder / script)], check=True)


def test_they_are_what_writing_them_again_gives(shipped, tmp_path):
    """Nobody edited a folder by hand, and no change of the writer left them behind."""
    for task in shipped:
        tasks.write(task, golds.load(task.gold), tmp_path / task.id)
        for file in (tmp_path / task.id).rglob("*"):
            if file.is_file():
                there = files.data() / "tasks" / file.relative_to(tmp_path)
                assert there.read_bytes() == file.read_bytes(), there

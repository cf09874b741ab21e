"""The task folder: written whole or not at all, read with typed errors."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import tomlkit

from cligym_env import files
from cligym_env import gold as golds
from cligym_env.core import Gold, Inversion, Task
from cligym_env.errors import RecipeError, UsageError
from cligym_env.tasks import _harbor
from cligym_env.tasks._instruction import instruction
from cligym_env.tasks._table import decode, encode

__all__ = ["MAX_FOLDER_BYTES", "content_hash", "read", "size_bytes", "split_of", "task_id", "write"]

MAX_FOLDER_BYTES = 16 << 10
"""All files of one task folder together."""

_N_TRAIN_OF_TEN = 8


def content_hash(inversion: Inversion) -> str:
    """SHA-256 of what makes an inversion this one: gold, family, commands and solution."""
    content = [inversion.gold, inversion.family, list(inversion.commands), list(inversion.solution)]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


def task_id(inversion: Inversion) -> str:
    """Give the id of the task an inversion becomes: ``<gold>.<family>.<8 hex digits>``."""
    return f"{inversion.gold}.{inversion.family}.{content_hash(inversion)[:8]}"


def split_of(name: str) -> Literal["train", "test"]:
    """Give the split of a task id: about 80 % train, by a hash, so that it never changes."""
    bucket = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10
    return "train" if bucket < _N_TRAIN_OF_TEN else "test"


def write(task: Task, gold: Gold, folder: Path) -> None:
    """Write a task's folder; it appears whole, or not at all, and replaces an older one.

    Args:
        task: the task.
        gold: its gold.
        folder: the task's own folder, not its parent.

    Raises:
        UsageError: the task takes more than ``MAX_FOLDER_BYTES`` of text, or is not the gold's.
    """
    if task.gold != gold.name:
        raise UsageError(f"task {task.id} belongs to {task.gold}, not to {gold.name}")
    contents = _contents(task, gold)
    taken = sum(len(text.encode()) for text in contents.values())
    if taken > MAX_FOLDER_BYTES:
        raise UsageError(f"task {task.id} takes {taken} bytes of text, {MAX_FOLDER_BYTES} are allowed")
    _write_folder(folder, contents)


def size_bytes(task: Task, gold: Gold) -> int:
    """Tell how much text a task's folder takes."""
    return sum(len(text.encode()) for text in _contents(task, gold).values())


def _contents(task: Task, gold: Gold) -> dict[str, str]:
    return {
        "task.toml": _task_toml(task, gold),
        "instruction.md": instruction(task, gold) + "\n",
        "environment/Dockerfile": _harbor.dockerfile(task, gold),
        "environment/docker-compose.yaml": _harbor.COMPOSE,
        "tests/test.sh": _harbor.test_script(task, gold),
        "solution/solve.sh": _harbor.solve_script(task, gold),
    }


def _write_folder(folder: Path, contents: dict[str, str]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for name, text in contents.items():
            files.write_atomic(temporary / name, text.encode())
            if name.endswith(".sh"):
                os.chmod(temporary / name, 0o755)  # noqa: S103 - scripts that people run
        os.chmod(temporary, 0o755)  # noqa: S103 - mkdtemp made it private, it is for all
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _task_toml(task: Task, gold: Gold) -> str:
    document = tomlkit.document()
    for key, value in _harbor.header(task, gold).items():
        document[key] = value
    table = encode(task, gold.passing)
    # Arrays of one text a line read well in a diff, and that is where tasks are looked at.
    for key in ("commands", "solution", "fail_to_pass"):
        if key in table:
            table[key] = tomlkit.item(table[key]).multiline(True)
    if "\n" in task.symptoms:
        table["symptoms"] = tomlkit.string(task.symptoms, multiline=True)
    rows = tomlkit.array()
    for row in table["paths"]:
        inline = tomlkit.inline_table()
        inline.update(row)
        rows.append(inline)
    table["paths"] = rows.multiline(True)
    document["metadata"]["cligym"] = table
    return tomlkit.dumps(document)


def read(folder: Path) -> Task:
    """Read a task folder.

    Args:
        folder: the task's own folder; its name is the task's id.

    Raises:
        RecipeError: the folder is no task folder, or a key is missing or wrong: names the file,
            the key and what was expected.
    """
    file = folder / "task.toml"
    try:
        document = tomllib.loads(file.read_bytes().decode())
    except FileNotFoundError:
        raise RecipeError(file, "", "expected a file: a task folder holds a task.toml") from None
    except UnicodeDecodeError as error:
        raise RecipeError(file, "", f"expected UTF-8: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(file, "", f"expected TOML: {error}") from None
    if document.get("schema_version") != _harbor.SCHEMA_VERSION:
        raise RecipeError(file, "schema_version", f"expected {_harbor.SCHEMA_VERSION!r}")
    metadata: Any = document.get("metadata")
    task = decode(file, metadata.get("cligym") if isinstance(metadata, dict) else None, _passing)
    _check_hashes(file, task)
    return task


def _passing(name: str) -> Sequence[str]:
    return golds.load(name).passing


def _check_hashes(file: Path, task: Task) -> None:
    """An edited command list is another task; it does not keep the id of the admitted one."""
    if task.id != task_id(task.inversion):
        expected = f"expected {task_id(task.inversion)}, the hash of its commands and solution"
        raise RecipeError(file, "metadata.cligym.id", expected)
    if task.split != split_of(task.id):
        raise RecipeError(file, "metadata.cligym.split", f"expected {split_of(task.id)!r} for this id")
    if file.parent.name != task.id:
        raise RecipeError(file, "metadata.cligym.id", f"expected {file.parent.name!r}, the folder's name")

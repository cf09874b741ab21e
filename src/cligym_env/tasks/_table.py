"""A task as the table ``[metadata.cligym]``, and back, with one typed error for what is malformed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from cligym_env.core import CATEGORIES, Entry, Inversion, PathState, Task
from cligym_env.errors import RecipeError

__all__ = ["SCHEMA", "decode", "digest", "encode"]

SCHEMA = 1
"""Number of this table's layout; a reader refuses any other."""

MAX_LISTED_CHARS = 5_000
"""Ids of fail-to-pass tests beyond this are written as positions in the gold's passing set."""

_ID = re.compile(r"[a-z0-9][a-z0-9-]*\.[a-z0-9][a-z0-9-]*\.[0-9a-f]{8}")
_ENTRY = re.compile(
    r"(?P<absent>absent)"
    r"|link (?P<link_uid>\d+):(?P<link_gid>\d+) (?P<target>.+)"
    r"|(?P<kind>dir|other) (?P<mode>[0-7]{1,4}) (?P<uid>\d+):(?P<gid>\d+)"
    r"|file (?P<file_mode>[0-7]{1,4}) (?P<file_uid>\d+):(?P<file_gid>\d+)"
    r" (?P<size>\d+) (?P<sha256>[0-9a-f]{64})",
    re.DOTALL,
)


def digest(names: Iterable[str]) -> str:
    """SHA-256 of test ids: sorted, each with a line end."""
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(names)).encode()).hexdigest()


# ── writing ─────────────────────────────────────────────────────────────────────────────────


def encode(task: Task, passing: Sequence[str]) -> dict[str, Any]:
    """Give the table of a task.

    Args:
        task: the task.
        passing: the gold's passing set, sorted; long fail-to-pass lists are positions in it.
    """
    inversion = task.inversion
    table: dict[str, Any] = {
        "schema": SCHEMA,
        "version": task.version,
        "id": task.id,
        "gold": task.gold,
        "gold_hash": task.gold_hash,
        "category": task.category,
        "family": task.family,
        "seed": task.seed,
        "split": task.split,
        "hint": inversion.hint,
        "commands": list(inversion.commands),
        "solution": list(inversion.solution),
        "symptoms": task.symptoms,
        "n_fail_to_pass": len(task.fail_to_pass),
        "n_pass_to_pass": task.n_pass_to_pass,
    }
    if sum(map(len, task.fail_to_pass)) <= MAX_LISTED_CHARS:
        table["fail_to_pass"] = list(task.fail_to_pass)
    else:
        table["fail_to_pass_positions"] = _positions(task.fail_to_pass, passing)
    table["fail_to_pass_sha256"] = digest(task.fail_to_pass)
    table["parameters"] = dict(inversion.parameters)
    table["gates"] = dict(task.gates)
    table["paths"] = [
        {"path": state.path, "gold": _entry_text(state.gold), "broken": _entry_text(state.broken)}
        for state in task.paths
    ]
    return table


def _entry_text(entry: Entry) -> str:
    owner = f"{entry.uid}:{entry.gid}"
    if entry.kind == "absent":
        return "absent"
    if entry.kind == "link":
        return f"link {owner} {entry.target}"
    if entry.kind == "file":
        return f"file {entry.mode:o} {owner} {entry.size_bytes} {entry.sha256}"
    return f"{entry.kind} {entry.mode:o} {owner}"


def _positions(chosen: Sequence[str], passing: Sequence[str]) -> str:
    """Write a subset of a sorted list as ranges of positions: ``0-4,7,9-12``."""
    index = {name: place for place, name in enumerate(passing)}
    ranges: list[list[int]] = []
    for place in sorted(index[name] for name in chosen):
        if ranges and ranges[-1][1] == place - 1:
            ranges[-1][1] = place
        else:
            ranges.append([place, place])
    return ",".join(f"{first}-{last}" if first != last else f"{first}" for first, last in ranges)


# ── reading ─────────────────────────────────────────────────────────────────────────────────


class _Fields:
    """The table with typed access; every wrong value is one ``RecipeError`` with its key."""

    def __init__(self, file: Path, table: Mapping[str, Any], prefix: str) -> None:
        self.file, self.table, self.prefix = file, table, prefix

    def fail(self, key: str, expected: str) -> RecipeError:
        return RecipeError(self.file, f"{self.prefix}.{key}", expected)

    def text(self, key: str, *, pattern: str = "", empty: bool = False) -> str:
        value = self.table.get(key)
        if not isinstance(value, str) or (not value and not empty):
            raise self.fail(key, "expected a text" + ("" if empty else ", not empty"))
        if pattern and not re.fullmatch(pattern, value):
            raise self.fail(key, f"expected a text of the form {pattern}")
        return value

    def number(self, key: str, *, least: int) -> int:
        value = self.table.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.fail(key, f"expected a whole number of at least {least}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.table.get(key)
        if not isinstance(value, list) or not value:
            raise self.fail(key, "expected a list of texts, not empty")
        if not all(isinstance(text, str) and text and "\0" not in text for text in value):
            raise self.fail(key, "expected texts, none empty and none with NUL")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        value = self.table.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise self.fail(key, "expected a table of texts")
        return {str(name): str(text) for name, text in value.items()}


def decode(file: Path, table: Any, passing_of: Callable[[str], Sequence[str]]) -> Task:
    """Read the table of a task.

    Args:
        file: where it stands, for errors.
        table: the value of ``metadata.cligym``.
        passing_of: gives a gold's passing set by the gold's name; asked only when needed.

    Raises:
        RecipeError: a key is missing or wrong; names the key and what was expected.
    """
    if not isinstance(table, dict):
        raise RecipeError(file, "metadata.cligym", "expected a table with the task's own fields")
    fields = _Fields(file, table, "metadata.cligym")
    if table.get("schema") != SCHEMA:
        raise fields.fail("schema", f"expected {SCHEMA}")
    name = fields.text("id")
    if not _ID.fullmatch(name):
        raise fields.fail("id", "expected <gold>.<family>.<8 hex digits>, lower case")
    inversion = _inversion(fields)
    if name.split(".")[:2] != [inversion.gold, inversion.family]:
        raise fields.fail("id", f"expected it to begin with {inversion.gold}.{inversion.family}.")
    return Task(
        id=name,
        inversion=inversion,
        seed=fields.number("seed", least=0),
        fail_to_pass=_fail_to_pass(fields, passing_of),
        n_pass_to_pass=fields.number("n_pass_to_pass", least=1),
        paths=_paths(fields),
        symptoms=fields.text("symptoms"),
        split=cast(Literal["train", "test"], fields.text("split", pattern="train|test")),
        gold_hash=fields.text("gold_hash", empty=True),
        gates=fields.mapping("gates"),
        version=fields.text("version", empty=True),
    )


def _inversion(fields: _Fields) -> Inversion:
    category = fields.text("category")
    if category not in CATEGORIES:
        raise fields.fail("category", "expected one of " + ", ".join(CATEGORIES))
    return Inversion(
        gold=fields.text("gold", pattern="[a-z0-9][a-z0-9-]*"),
        family=fields.text("family", pattern="[a-z0-9][a-z0-9-]*"),
        category=category,
        commands=fields.texts("commands"),
        solution=fields.texts("solution"),
        hint=fields.text("hint"),
        parameters=fields.mapping("parameters"),
    )


def _fail_to_pass(fields: _Fields, passing_of: Callable[[str], Sequence[str]]) -> tuple[str, ...]:
    if "fail_to_pass_positions" in fields.table:
        key = "fail_to_pass_positions"
        passing = passing_of(fields.text("gold"))
        names: list[str] = []
        for part in fields.text(key, pattern=r"\d+(-\d+)?(,\d+(-\d+)?)*").split(","):
            first, _, last = part.partition("-")
            if int(last or first) >= len(passing):
                raise fields.fail(key, f"expected positions below {len(passing)}")
            names += passing[int(first) : int(last or first) + 1]
    else:
        key = "fail_to_pass"
        names = list(fields.texts(key))
    if digest(names) != fields.text("fail_to_pass_sha256"):
        raise fields.fail(key, "expected the ids that fail_to_pass_sha256 was made of")
    return tuple(sorted(names))


def _paths(fields: _Fields) -> tuple[PathState, ...]:
    rows = fields.table.get("paths")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise fields.fail("paths", "expected a list of tables with path, gold and broken")
    found = []
    for place, row in enumerate(rows):
        inner = _Fields(fields.file, row, f"{fields.prefix}.paths[{place}]")
        path = inner.text("path", pattern=r"(?s)/.+")
        found.append(PathState(path, _entry(inner, "gold"), _entry(inner, "broken")))
    return tuple(found)


def _entry(fields: _Fields, key: str) -> Entry:
    match = _ENTRY.fullmatch(fields.text(key))
    if match is None:
        raise fields.fail(key, "expected 'file MODE UID:GID SIZE SHA256', 'dir …', 'link …' or 'absent'")
    part = match.groupdict()
    if part["absent"]:
        return Entry("absent")
    if part["target"]:
        uid, gid = int(part["link_uid"]), int(part["link_gid"])
        return Entry("link", uid=uid, gid=gid, target=part["target"])
    if part["kind"]:
        kind = cast(Literal["dir", "other"], part["kind"])
        return Entry(kind, int(part["mode"], 8), int(part["uid"]), int(part["gid"]))
    return Entry(
        "file",
        int(part["file_mode"], 8),
        int(part["file_uid"]),
        int(part["file_gid"]),
        int(part["size"]),
        sha256=part["sha256"],
    )

"""The lock beside a recipe: what a full build of the gold has shown.

``<name>.lock.json`` holds the passing node ids, the counts and times of the runs, the back ends on
which they held, the wheels' digests, and the observed usage. It belongs to one state of its recipe:
a recipe that says something else has no lock until it is built again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cligym_env import files
from cligym_env.core import Gold, Usage
from cligym_env.errors import RecipeError
from cligym_env.gold import recipe

__all__ = ["Lock", "Runs", "applied", "content_hash", "current", "path", "read", "write"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Runs:
    """What the runs of the suite on one back end were like.

    Attributes:
        n_runs: how many.
        n_passed: how many tests passed in every one.
        n_skipped: how many were skipped in the last one.
        seconds: wall time of each, by the host's clock.
    """

    n_runs: int
    n_passed: int
    n_skipped: int
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """The content of a lock file.

    Attributes:
        recipe: digest of the recipe it belongs to.
        passing: node ids that passed in every run on every back end, sorted.
        flaky: node ids that passed in some runs only, sorted; not in ``passing``.
        backends: name → its runs.
        wheels: file name → sha256 of every wheel in the image.
        usage: what the suite touches.
        version: of the package that wrote it.
    """

    recipe: str
    passing: tuple[str, ...]
    flaky: tuple[str, ...] = ()
    backends: Mapping[str, Runs] = field(default_factory=dict)
    wheels: Mapping[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    version: str = ""


def path(recipe_file: Path) -> Path:
    """Where the lock of a recipe lies."""
    return recipe_file.with_name(f"{recipe_file.stem}.lock.json")


def content_hash(recipe_digest: str, passing: tuple[str, ...]) -> str:
    """Digest a recipe together with its passing set: sha256 hex."""
    said = json.dumps([recipe_digest, sorted(passing)], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()


def read(recipe_file: Path) -> Lock | None:
    """Read the lock of a recipe; nothing where there is none.

    Raises:
        RecipeError: the lock is damaged.
    """
    file = path(recipe_file)
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RecipeError(file, "", f"expected a lock in JSON ({error}); build the gold again") from error
    if not isinstance(table, dict) or table.get("schema") != SCHEMA:
        raise RecipeError(file, "schema", f"expected {SCHEMA}; build the gold again")
    try:
        return Lock(
            recipe=_text(table, "recipe"),
            passing=tuple(_texts(table, "passing")),
            flaky=tuple(_texts(table, "flaky")),
            backends={name: _runs(runs) for name, runs in dict(table["backends"]).items()},
            wheels={str(name): str(value) for name, value in dict(table["wheels"]).items()},
            usage=_usage(dict(table["usage"])),
            version=_text(table, "version"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecipeError(file, str(error).strip("'"), "is missing or malformed; build again") from error


def current(recipe_file: Path, gold: Gold) -> Lock | None:
    """Read the lock beside a recipe, if it belongs to what the gold's recipe says now.

    Raises:
        RecipeError: the lock is damaged.
    """
    found = read(recipe_file)
    return found if found is not None and found.recipe == recipe.digest(gold) else None


def write(recipe_file: Path, lock: Lock) -> None:
    """Write the lock of a recipe, whole or not at all."""
    table = {
        "schema": SCHEMA,
        "version": lock.version,
        "recipe": lock.recipe,
        "content_hash": content_hash(lock.recipe, lock.passing),
        "backends": {name: asdict(lock.backends[name]) for name in sorted(lock.backends)},
        "wheels": dict(sorted(lock.wheels.items())),
        "usage": asdict(lock.usage),
        "flaky": sorted(lock.flaky),
        "passing": sorted(lock.passing),
    }
    text = json.dumps(table, ensure_ascii=False, indent=1) + "\n"
    files.write_atomic(path(recipe_file), text.encode("utf-8", "surrogateescape"))


def applied(gold: Gold, lock: Lock | None) -> Gold:
    """Give the gold with its passing set and usage, where the lock is the recipe's."""
    digest = recipe.digest(gold)
    if lock is None or lock.recipe != digest:
        return gold
    return replace(
        gold,
        passing=lock.passing,
        content_hash=content_hash(digest, lock.passing),
        usage=lock.usage,
    )


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _texts(table: Mapping[str, Any], key: str) -> list[str]:
    value = table[key]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(key)
    return sorted(value)


def _runs(table: Mapping[str, Any]) -> Runs:
    seconds = tuple(float(value) for value in table["seconds"])
    return Runs(int(table["n_runs"]), int(table["n_passed"]), int(table["n_skipped"]), seconds)


def _usage(table: Mapping[str, Any]) -> Usage:
    known = {item.name for item in fields(Usage)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else dict(value)
        for key, value in table.items()
        if key in known
    }
    return Usage(**values)

"""A recipe: the TOML that tells how a repository becomes a gold.

::

    language = "python"                       # for selection and display
    licence = "MIT"                           # SPDX
    requirements = ["pytest==9.0.2"]          # the whole closure, pinned
    wheelhouse = ["h11==0.14.0"]              # wheels that only lie there
    system_packages = []                      # Debian packages beyond the base's
    install = ["pip install --no-build-isolation --no-deps -e ."]

    [source]
    kind = "pypi"                             # pypi, debian, npm, git or local
    name = "h11"
    version = "0.16.0"
    sha256 = "4e35b956…"

    [test]
    runner = "pytest"
    args = ["h11"]
    timeout_s = 120

    [environ]                                 # of the test run, beyond the base's
    KEY = "value"

The file's name is the gold's. Everything malformed is one ``RecipeError`` that names file, key and
what was expected there.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cligym_env.core import Gold, Source
from cligym_env.errors import RecipeError

__all__ = ["digest", "read", "tree", "tree_digest"]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER = re.compile(r"[a-z_][a-z0-9_-]*")
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")

_Check = Callable[[Any], bool]


def _text(pattern: re.Pattern[str] | None = None) -> _Check:
    def check(value: Any) -> bool:
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            return False
        return pattern is None or pattern.fullmatch(value) is not None

    return check


def _texts(pattern: re.Pattern[str] | None = None) -> _Check:
    one = _text(pattern)
    return lambda value: isinstance(value, list) and all(one(item) for item in value)


def _seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 86_400


_TOP: Mapping[str, tuple[_Check, str]] = {
    "language": (_text(), 'a word, for example "python"'),
    "licence": (_text(), 'an SPDX expression, for example "MIT"'),
    "system_packages": (_texts(_PACKAGE), "a list of Debian package names"),
    "requirements": (_texts(_PINNED), 'a list of pinned distributions, each "name==version"'),
    "wheelhouse": (_texts(_PINNED), 'a list of pinned distributions, each "name==version"'),
    "install": (_texts(), "a list of shell commands"),
    "user": (_text(_USER), 'the name of a user of the base image, "dev" or "root"'),
    "workdir": (_text(_PATH), 'an absolute path, for example "/testbed"'),
}
_SOURCE: Mapping[str, tuple[_Check, str]] = {
    "kind": (
        lambda value: value in ("pypi", "debian", "npm", "git", "local"),
        'one of "pypi", "debian", "npm", "git", "local"',
    ),
    "name": (_text(), "the package's name, the git URL, or the folder"),
    "version": (_text(), "the version, or the git commit"),
    "sha256": (_text(_SHA256), "64 hex digits, the archive's sha256"),
}
_TEST: Mapping[str, tuple[_Check, str]] = {
    "runner": (_text(), 'the name of a runner, for example "pytest"'),
    "args": (_texts(), "a list of the runner's arguments"),
    "timeout_s": (_seconds, "a number of seconds above 0, at most 86400"),
}
_TABLES = ("source", "test", "environ")
_UNRECORDED = ("passing", "content_hash", "usage")


def read(file: Path) -> Gold:
    """Read one recipe; the lock beside it is not looked at.

    Args:
        file: the TOML on the host; its stem is the gold's name.

    Raises:
        RecipeError: the file is missing, not TOML, or says something that is not understood.
    """
    if not _NAME.fullmatch(file.stem):
        raise RecipeError(file, "", "a file name of the form [a-z0-9-]+.toml")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(file, "", f"a readable file ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(file, "", f"TOML ({error})") from error
    for section in _TABLES:
        if not isinstance(table.get(section, {}), dict):
            raise RecipeError(file, section, f"a table: [{section}]")
    top = _checked(file, "", _TOP, {key: value for key, value in table.items() if key not in _TABLES})
    test = _checked(file, "test", _TEST, table.get("test", {}))
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in top.items()
    }
    if "runner" in test:
        values["runner"] = test["runner"]
    if "args" in test:
        values["test_args"] = tuple(test["args"])
    if "timeout_s" in test:
        values["timeout_s"] = float(test["timeout_s"])
    return Gold(
        name=file.stem,
        source=_source(file, table),
        environ=_environ(file, table.get("environ", {})),
        **values,
    )


def digest(gold: Gold) -> str:
    """Digest what the recipe says: sha256 hex, without the passing set and the usage.

    The place of a local folder does not count, its content (``source.sha256``) does.
    """
    said = {key: value for key, value in asdict(gold).items() if key not in _UNRECORDED}
    if gold.source.kind == "local":
        said["source"]["name"] = ""
    canonical = json.dumps(said, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def tree_digest(folder: Path) -> str:
    """Digest a folder: sha256 hex over names, kinds, execute bits and contents.

    Version control, caches and virtual environments are left out, as they are of the source.
    """
    total = hashlib.sha256()
    for path in tree(folder):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink():
            line = f"link {relative}\0{path.readlink()}\n".encode()
        elif path.is_dir():
            line = f"dir {relative}\n".encode()
        else:
            executable = "x" if path.stat().st_mode & 0o100 else "-"
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            line = f"file {relative}\0{executable}{content}\n".encode()
        total.update(line)
    return total.hexdigest()


_LEFT_OUT = frozenset({".git", ".hg", "__pycache__", ".venv", ".tox", ".mypy_cache", ".pytest_cache"})


def tree(folder: Path) -> list[Path]:
    """List what of a folder belongs to its source, sorted; links are not followed."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name in _LEFT_OUT:
            continue
        if path.is_symlink() or path.is_file():
            found.append(path)
        elif path.is_dir():
            found += [path, *tree(path)]
    return found


def _checked(
    file: Path, section: str, known: Mapping[str, tuple[_Check, str]], table: Mapping[str, Any]
) -> dict[str, Any]:
    for key, value in table.items():
        dotted = f"{section}.{key}" if section else key
        if key not in known:
            raise RecipeError(file, dotted, _unknown(key, known, section))
        check, expected = known[key]
        if not check(value):
            raise RecipeError(file, dotted, f"expected {expected}, found {_shown(value)}")
    return dict(table)


def _unknown(key: str, known: Mapping[str, tuple[_Check, str]], section: str) -> str:
    names = [*known, *(() if section else _TABLES)]
    near = difflib.get_close_matches(key, names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return f"no such key{guess} Expected one of {', '.join(names)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _source(file: Path, table: Mapping[str, Any]) -> Source:
    if "source" not in table:
        raise RecipeError(file, "source", "expected a table [source] with kind, name, version, sha256")
    said = _checked(file, "source", _SOURCE, table["source"])
    _require(file, said, ("kind", "name"))
    kind = said["kind"]
    needed = {"git": ("version",), "local": ()}.get(kind, ("version", "sha256"))
    _require(file, said, needed)
    for key in ("version", "sha256"):
        if key in said and key not in needed:
            raise RecipeError(file, f"source.{key}", f"has no place in a {kind} source")
    if kind == "git" and not _COMMIT.fullmatch(said["version"]):
        raise RecipeError(file, "source.version", "expected a git commit, 40 hex digits")
    if kind == "local":
        folder = (file.parent / Path(said["name"]).expanduser()).resolve()
        if not folder.is_dir():
            raise RecipeError(file, "source.name", f"expected a folder; {folder} is none")
        return Source("local", str(folder), sha256=tree_digest(folder))
    return Source(kind, said["name"], said.get("version", ""), said.get("sha256", ""))


def _require(file: Path, said: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if key not in said:
            raise RecipeError(file, f"source.{key}", f"is missing; expected {_SOURCE[key][1]}")


def _environ(file: Path, table: Mapping[str, Any]) -> dict[str, str]:
    for name, value in table.items():
        if not _VARIABLE.fullmatch(name):
            raise RecipeError(file, f"environ.{name}", "expected the name of a shell variable")
        if not isinstance(value, str) or "\0" in value:
            raise RecipeError(file, f"environ.{name}", f"expected a text, found {_shown(value)}")
    return dict(table)

"""When two different files say the same: equivalences that no payload can hide in."""

from __future__ import annotations

import ast
import importlib.util
import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Mapping

__all__ = ["ZONES", "carries_no_code", "is_neutral", "same_meaning"]

ZONES = "/usr/share/zoneinfo/"
_MAX_BYTES = 1 << 20
_MAX_ZONE_BYTES = 1 << 16
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_CONFIGURATION = re.compile(r"^/etc/|\.(cfg|conf|cnf|ini)$|/pip\.conf$")
_ENVIRON_FILES = frozenset({"/etc/environment", "/etc/default/locale", "/etc/locale.conf"})
_FOLDERS = r"(/opt/venv/bin|/usr/local/s?bin|/usr/s?bin|/s?bin)"
_HARMLESS = re.compile(
    r"(LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|PAGER|EDITOR|COLUMNS|LINES|TMPDIR)=[\w./:+@,-]{0,64}"
    r"|\w+="
    rf"|PATH={_FOLDERS}(:{_FOLDERS}){{0,12}}"
    r"|(no_proxy|NO_PROXY)=[\w.,*:/-]{0,256}"
    r"|(SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE)=/etc/ssl/[\w./-]{0,64}"
    r"|PYTHON(UTF8|HASHSEED|IOENCODING|DONTWRITEBYTECODE|COERCECLOCALE)=[\w:-]{0,32}"
)
"""Variables that can carry no code, with values that cannot; and any without a value."""

_METADATA = re.compile(r"[^/]+\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json)$")


def same_meaning(path: str, one: bytes, gold: bytes) -> bool:
    """Whether a file with this content does just what gold's does.

    Args:
        path: decides the format.
        one: the content in question.
        gold: gold's content.
    """
    if one == gold:
        return True
    if max(len(one), len(gold)) > _MAX_BYTES:
        return False
    meaning = _reader(path)
    if meaning is None:
        return False
    said = meaning(gold)
    return said is not None and meaning(one) == said


def _reader(path: str) -> Callable[[bytes], object] | None:
    """What reads a file of this name down to what it means; ``None`` where only bytes count."""
    name = posixpath.basename(path)
    rules: tuple[tuple[bool, Callable[[bytes], object]], ...] = (
        (name.endswith(".py"), _tree),
        (name.endswith(".pth"), _lines),
        (_METADATA.search(path) is not None, lambda content: _metadata(name, content)),
        (path in _ENVIRON_FILES, _environ),
        (name.endswith((".json", ".toml", ".crt", ".pem")), lambda content: _parsed(name, content)),
        (_CONFIGURATION.search(path) is not None, _lines),
    )
    return next((reader for fits, reader in rules if fits), None)


def is_neutral(path: str, content: bytes) -> bool:
    """Whether a file says nothing: empty, or comments only."""
    if len(content) > _MAX_BYTES:
        return False
    if path.endswith(".py"):
        return _tree(content) == _tree(b"")
    if path.endswith(".pth") or _CONFIGURATION.search(path):
        return not _lines(content)
    return not content.strip()


def carries_no_code(path: str, one: bytes, gold: bytes) -> bool:
    """Whether a file that says something else than gold's is of a kind that nothing executes."""
    return (
        _METADATA.search(path) is not None
        or (path == "/etc/timezone" and re.fullmatch(rb"[\w+/-]{1,64}\n?", one) is not None)
        or (path.startswith(ZONES) and one[:4] == b"TZif" and len(one) <= _MAX_ZONE_BYTES)
        or (path.endswith(".pyc") and one[:4] != importlib.util.MAGIC_NUMBER)  # Python passes it over
        or _harmless_environ(path, one, gold)
    )


def _harmless_environ(path: str, one: bytes, gold: bytes) -> bool:
    """Whether a file of variables differs from gold's in what can carry no code alone."""
    if path not in _ENVIRON_FILES or max(len(one), len(gold)) > _MAX_BYTES:
        return False
    here, there = _environ(one), _environ(gold)
    differ = {name for name in here.keys() | there.keys() if here.get(name) != there.get(name)}
    return all(name not in here or _HARMLESS.fullmatch(f"{name}={here[name]}") for name in differ)


def _tree(source: bytes) -> str | None:
    """The syntax tree without places, comments and layout; ``None`` for what does not parse."""
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _lines(content: bytes) -> list[bytes]:
    stripped = (line.strip() for line in content.splitlines())
    return [line for line in stripped if line and not line.startswith((b"#", b";"))]


def _environ(content: bytes) -> Mapping[str, str]:
    variables = {}
    for line in content.decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.isidentifier():
            variables[name] = value.strip().strip("\"'")
    return variables


def _parsed(name: str, content: bytes) -> object:
    try:
        if name.endswith(".json"):
            return json.loads(content)
        if name.endswith(".toml"):
            return tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        return None
    return sorted({b"".join(block.split()) for block in _PEM.findall(content)}) or None


def _metadata(name: str, content: bytes) -> object:
    """What an installer notes about a distribution, without what depends on who installed it when."""
    if name != "RECORD":
        return ()
    lines = set(content.replace(b"\r", b"").splitlines())
    return {line for line in lines if b".pyc," not in line and b".dist-info/" not in line}

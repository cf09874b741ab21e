"""Plug-ins: the file name is the plug-in's name, and listing a folder is the registry.

A kind of plug-in is a package of this library (``cligym_env.backends``, ``.runners``, ``.faults``,
``.policies``, ``.exporters``). Every module in it, at any depth, whose name does not start with an
underscore is one plug-in, named after its file with ``_`` written as ``-``, and holds a public
callable ``create``. Nothing is imported before it is asked for.

Third parties add to a kind with an entry point in the group ``cligym_env.<kind>``, for example::

    [project.entry-points."cligym_env.backends"]
    firecracker = "my_package.firecracker:create"
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from cligym_env.errors import UnknownNameError, UsageError

__all__ = ["KINDS", "create", "names"]

KINDS = ("backends", "runners", "faults", "policies", "exporters")


def names(kind: str) -> tuple[str, ...]:
    """List the plug-ins of a kind, sorted, third parties' included, importing none of them.

    Args:
        kind: one of ``KINDS``.

    Raises:
        UnknownNameError: no such kind.
    """
    return tuple(sorted({**_modules(kind), **_entry_points(kind)}))


def create(kind: str, name: str, /, **options: Any) -> Any:
    """Import one plug-in and call its ``create`` with the options.

    Args:
        kind: one of ``KINDS``.
        name: the plug-in's name.
        options: passed on as keywords.

    Raises:
        UnknownNameError: no such kind, or no such plug-in; carries the nearest names.
        UsageError: the plug-in does not take these options.
    """
    modules = _modules(kind)
    factory: Callable[..., Any]
    if name in modules:
        factory = importlib.import_module(modules[name]).create
    elif name in (entry_points := _entry_points(kind)):
        factory = entry_points[name].load()
    else:
        raise UnknownNameError(_one(kind), name, names(kind))
    try:
        return factory(**options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise UsageError(f"{_one(kind)} {name!r}: {error}") from error


def _one(kind: str) -> str:
    return "policy" if kind == "policies" else kind.removesuffix("s")


@cache
def _modules(kind: str) -> dict[str, str]:
    if kind not in KINDS:
        raise UnknownNameError("kind of plug-in", kind, KINDS)
    package = f"cligym_env.{kind}"
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return {}
    root = Path(next(iter(spec.submodule_search_locations)))
    found: dict[str, str] = {}
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            found[parts[-1].replace("_", "-")] = ".".join((package, *parts))
    return found


@cache
def _entry_points(kind: str) -> dict[str, importlib.metadata.EntryPoint]:
    group = importlib.metadata.entry_points(group=f"cligym_env.{kind}")
    return {point.name: point for point in group}

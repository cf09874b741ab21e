"""Golds in C: libraries that were built in the work folder and installed for the loader to find."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from cligym_env.faults._common import Look, Site, q, shuffled

__all__ = ["Library", "built", "changes", "libraries", "rebuild"]

_BUILD = "build"
_TARGETS = f"make -C {_BUILD} help"
# Small changes that compile: an operator or a number becomes another one.
_SWAPS = (
    (re.compile(r" (==) "), "!="),
    (re.compile(r" (!=) "), "=="),
    (re.compile(r" (<) "), ">="),
    (re.compile(r" (>=) "), "<"),
    (re.compile(r" (&&) "), "||"),
    (re.compile(r" (\|\|) "), "&&"),
    (re.compile(r" (\+) \d"), "-"),
    (re.compile(r"\b(false)\b"), "true"),
    (re.compile(r"\b(true)\b"), "false"),
    (re.compile(r"return (0);"), "1"),
    (re.compile(r"return (-1);"), "0"),
)
_COMMENT = re.compile(r"^\s*(/?\*|//|#)")


@dataclass(frozen=True, slots=True)
class Library:
    """One library of the gold.

    Attributes:
        path: installed, links followed.
        target: what ``make`` calls it.
        sources: C files of the repository it is made of, absolute.
    """

    path: str
    target: str
    sources: tuple[str, ...]


def libraries(look: Look) -> list[Library]:
    """Give the installed libraries that the tests load, with the files they are made of."""
    targets = set(re.findall(r"^\.\.\. (\S+)$", look.run(_TARGETS), re.M))
    found = []
    for path in sorted({node.real for node in look.nodes(look.extensions).values()}):
        name = path.rpartition("/")[2].removeprefix("lib").partition(".so")[0]
        folder = f"{look.gold.workdir}/{_BUILD}/CMakeFiles/{name}.dir"
        objects = look.run(["find", folder, "-name", "*.o"]).split()
        names = [file.removeprefix(f"{folder}/").removesuffix(".o") for file in objects]
        sources = [f"{look.gold.workdir}/{file}" for file in sorted(names)]
        known = tuple(file for file in sources if look.node(file).kind == "file")
        if name in targets and known:
            found.append(Library(path, name, known))
    return found


def rebuild(library: Library, look: Look) -> str:
    """Give the command that builds one library and installs it, and touches no test program."""
    return (
        f"make --silent -C {q(f'{look.gold.workdir}/{_BUILD}')} {q(library.target)} && "
        f"install -m 644 {q(built(library, look))} {q(library.path)} && ldconfig"
    )


def built(library: Library, look: Look) -> str:
    """Give the library's place in the build folder."""
    folder = f"{look.gold.workdir}/{_BUILD}"
    name = library.path.rpartition("/")[2]
    return next(iter(look.run(["find", folder, "-name", name]).split()), f"{folder}/{name}")


def changes(look: Look, file: str, rng: Random, *, most: int) -> Iterator[tuple[str, Site]]:
    """Yield lines of a C file and what can change in them, in an order drawn."""
    found = []
    for number, line in enumerate(look.text(file).split("\n"), 1):
        if _COMMENT.match(line) or not line.startswith((" ", "\t")) or '"' in line:
            continue
        for pattern, new in _SWAPS:
            match = pattern.search(line)
            if match is not None:
                found.append((number, match.start(1), match[1], new, line))
    for number, column, old, new, line in shuffled(found, rng)[:most]:
        yield line, Site(number, column, old, new)

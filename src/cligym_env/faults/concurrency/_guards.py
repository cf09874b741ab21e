"""Guards against running twice, put at the start of a called function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from cligym_env.faults._common import Look, q
from cligym_env.faults._source import Function, called

__all__ = ["guardable", "insert", "label"]

MAX_FUNCTIONS = 16


def guardable(
    look: Look, rng: Random, *, least: int = 2, most: int = 100
) -> Iterator[tuple[Function, int, str]]:
    """Yield functions with the number of their first line of code, and its indentation."""
    n_found = 0
    for function in called(look, rng, least=least, most=most):
        if not function.statements or function.name.rpartition(".")[2].startswith("__"):
            continue
        first = function.statements[0]
        line = function.lines[first.lineno - 1]
        indent = line[: len(line) - len(line.lstrip())]
        if len(indent) != first.col_offset or not indent.isspace() or "\t" in indent:
            continue
        yield function, first.lineno, indent
        n_found += 1
        if n_found >= MAX_FUNCTIONS:
            return


def insert(file: str, number: int, indent: str, lines: Sequence[str]) -> str:
    """Give the command that puts lines before a line of a file."""
    text = "\\\n".join(indent + line for line in lines)
    script = f"{number}i\\\n{text}"
    return f"sed -i {q(script)} {q(file)}"


def label(function: Function) -> str:
    """Give a short name for a lock of a function."""
    return function.name.rpartition(".")[2].strip("_").replace("_", "-")

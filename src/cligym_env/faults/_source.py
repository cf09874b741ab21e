"""Small changes to functions that the tests really call, found in the syntax tree.

Every change is one replacement in one line; the way back is the opposite replacement. Which
functions are called, and by how many tests, was observed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from cligym_env.faults._common import Draft, Look, Site, shuffled, swap_line

__all__ = ["Function", "called", "drafts", "offset"]

MAX_DRAFTS = 24


@dataclass(frozen=True, slots=True)
class Function:
    """One function that tests call.

    Attributes:
        file: its source file.
        name: qualified, as Python has it without ``<locals>``.
        n_tests: that call it.
        node: its syntax tree.
        lines: of the whole file, without their ends.
    """

    file: str
    name: str
    n_tests: int
    node: ast.FunctionDef | ast.AsyncFunctionDef
    lines: list[str]

    @property
    def statements(self) -> list[ast.stmt]:
        """Its body, without the docstring."""
        body = self.node.body
        return body[1:] if ast.get_docstring(self.node) is not None else body


def called(look: Look, rng: Random, *, least: int = 1, most: int = 120) -> Iterator[Function]:
    """Yield functions that between ``least`` and ``most`` tests call, in an order drawn.

    Files take turns, so that one large module does not fill the list.
    """
    by_file: dict[str, list[tuple[str, int]]] = {}
    for file, name, n_tests in look.functions(least=least, most=most):
        by_file.setdefault(file, []).append((name, n_tests))
    queues = [(file, shuffled(by_file[file], rng)) for file in shuffled(by_file, rng)]
    parsed: dict[str, tuple[dict[str, ast.FunctionDef | ast.AsyncFunctionDef], list[str]]] = {}
    while any(queue for _, queue in queues):
        for file, queue in queues:
            if not queue:
                continue
            if file not in parsed:
                parsed[file] = _parse(look.text(file))
            name, n_tests = queue.pop()
            functions, lines = parsed[file]
            if name in functions:
                yield Function(file, name, n_tests, functions[name], lines)


def _parse(text: str) -> tuple[dict[str, ast.FunctionDef | ast.AsyncFunctionDef], list[str]]:
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                # An overload or a variant for another platform has the same name: it is ambiguous.
                name = f"{prefix}{child.name}"
                if name in found:
                    found.pop(name)
                else:
                    found[name] = child
                walk(child, f"{name}.")
            else:
                walk(child, f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix)

    try:
        walk(ast.parse(text), "")
    except (SyntaxError, ValueError):
        return {}, []
    return found, text.split("\n")


def offset(function: Function, before: ast.expr, after: ast.expr, token: str) -> Site | None:
    """Find an operator between two expressions of one line; the site has no ``new`` yet."""
    if before.end_lineno != after.lineno or before.end_col_offset is None:
        return None
    line = function.lines[after.lineno - 1]
    gap = line[before.end_col_offset : after.col_offset]
    at = gap.find(token)
    if at < 0 or gap.strip(" ()") != token:
        return None
    return Site(after.lineno, before.end_col_offset + at, token, "")


def drafts(
    look: Look, rng: Random, sites: Callable[[Function], Iterator[Site]], *, hint: str, most: int = 120
) -> Iterator[Draft]:
    """Yield one draft for one site of each called function.

    Args:
        look: the gold.
        rng: draws functions and sites.
        sites: where a function can change.
        hint: for every draft.
        most: tests that may call the function.
    """
    n_drafts = 0
    for function in called(look, rng, most=most):
        ran, body = look.lines(function.file), function.node.body[0].lineno
        candidates = [
            site
            for site in sites(function)
            if (site.line in ran or site.line < body) and not _noted(function, site)
        ]
        rng.shuffle(candidates)
        for site in candidates:
            line = function.lines[site.line - 1]
            pair = swap_line(function.file, line, site)
            if pair is None:
                continue
            parameters = {"file": function.file, "function": function.name, "line": str(site.line)}
            parameters |= {"old": site.old, "new": site.new}
            yield Draft([pair[0]], [pair[1]], hint, parameters)
            n_drafts += 1
            break
        if n_drafts >= MAX_DRAFTS:
            return


def _noted(function: Function, site: Site) -> bool:
    """Whether a line is marked as one that no test covers, or could make a loop endless."""
    line = function.lines[site.line - 1]
    if any(mark in line for mark in ("pragma: no cover", "TYPE_CHECKING", "type: ignore")):
        return True
    loops = (node for node in ast.walk(function.node) if isinstance(node, ast.While))
    return any(loop.lineno <= site.line <= (loop.end_lineno or loop.lineno) for loop in loops)

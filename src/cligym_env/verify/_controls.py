"""Runs that must fail: a candidate's file shares a process with the assertions, so it is tested too.

Two kinds. *Canaries*: the very tests it should repair end in a failure of our own, a random half in one
run and the rest in another; those must fail and the others must not. *Sabotage*: many functions of the
repository are made to raise, once with gold's files and once with the candidate's; what fails with
gold's must fail with the candidate's. Code that reports passes it has not earned fails one of them.
"""

from __future__ import annotations

import ast
import posixpath
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from cligym_env.core import Gold
from cligym_env.verify import _zones
from cligym_env.verify._graft import Graft
from cligym_env.verify._run import Suite
from cligym_env.verify._states import Finding, Survey

__all__ = ["contradiction", "sabotaged"]

_MAX_TESTS = 200
_MAX_FILES = 40


def contradiction(graft: Graft, gold: Gold, suite: Suite, tests: Sequence[str]) -> str:
    """What the control runs found against a graft; empty when they found nothing.

    Args:
        graft: with the policy's own files in it, in which all these tests passed.
        gold: the gold.
        suite: runs it.
        tests: the fail-to-pass tests.

    Raises:
        SandboxError: the machine failed.
    """
    chance = Random(secrets.randbits(64))
    chosen = sorted(chance.sample(list(tests), min(len(tests), _MAX_TESTS)))
    return _canaries(graft, suite, chosen, chance) or _sabotage(graft, gold, suite, chosen, chance)


def _canaries(graft: Graft, suite: Suite, tests: Sequence[str], chance: Random) -> str:
    """Every test is made to fail in one of two runs, and left alone in the other."""
    drawn = frozenset(test for test in tests if chance.random() < 0.5)
    for marked in (drawn, frozenset(tests) - drawn):
        if not marked:
            continue
        result = suite.run(graft, only=tests, canaries=tuple(sorted(marked)))
        if not result.complete:
            return "the control run with failing tests gave no whole report"
        spared = sorted(marked & result.passed)
        if spared:
            return f"a test made to fail passed: {spared[0]}"
        lost = sorted(set(tests) - marked - result.passed)
        if lost:
            return f"a test passed only when it was not looked at: {lost[0]}"
    return ""


def _sabotage(graft: Graft, gold: Gold, suite: Suite, tests: Sequence[str], chance: Random) -> str:
    mark = secrets.token_hex(8)
    sources = graft.survey.of("source")
    own = {finding.path: finding for finding in sources if finding.path.endswith(".py")}
    seed = chance.getrandbits(64)
    original, candidate = _hurt_siblings(graft, gold, own, mark, seed)
    for path, finding in own.items():
        theirs = graft.pristine.content(path)
        original[path] = sabotaged(theirs, theirs, mark, Random(seed))
        candidate[path] = sabotaged(finding.content, theirs, mark, Random(seed))
    if not original:  # data only, and no code beside it
        return ""
    pure = replace(graft, survey=_without(own, graft.survey), replaced=original)
    expected = set(tests) - suite.run(pure, only=tests).passed
    result = suite.run(replace(graft, replaced=candidate), only=tests)
    spared = sorted(expected & result.passed)
    return f"a test passed although what it tests was made to fail: {spared[0]}" if spared else ""


def _hurt_siblings(
    graft: Graft, gold: Gold, own: Mapping[str, Finding], mark: str, seed: int
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Gold's other files of the same folders, some of their functions made to raise."""
    folders = {posixpath.dirname(finding.path) for finding in graft.survey.of("source")}
    hurt: dict[str, bytes] = {}
    for folder in sorted(folders):
        for path in graft.pristine.listing(folder, "*.py")[:_MAX_FILES]:
            if path not in own and _zones.may_be_own(path, gold):
                source = graft.pristine.content(path)
                hurt[path] = sabotaged(source, source, mark, Random(seed + len(hurt)))
    return dict(hurt), hurt


def _without(own: Mapping[str, Finding], survey: Survey) -> Survey:
    """The survey with gold's sources in place of the policy's."""
    findings = tuple(
        replace(finding, kind="gold") if finding.path in own else finding for finding in survey.findings
    )
    return replace(survey, findings=findings)


def sabotaged(source: bytes, gold: bytes, message: str, chance: Random) -> bytes:
    """Make half of the functions raise that a file has in common with gold's version of it.

    Args:
        source: the file.
        gold: gold's version.
        message: the message that is raised.
        chance: draws the functions; equal draws for equal ``gold``.
    """
    try:
        common = _functions(gold)
        drawn = {name for name in sorted(common) if chance.random() < 0.5}
        nodes = [node for name, node in _functions(source).items() if name in drawn]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    lines = source.split(b"\n")
    for node in sorted(nodes, key=lambda node: node.lineno, reverse=True):
        first = node.body[0]
        number = min([first.lineno, *(mark.lineno for mark in getattr(first, "decorator_list", []))])
        indent = lines[number - 1][: first.col_offset]
        if number > node.lineno and not indent.strip():
            lines.insert(number - 1, indent + f"raise RuntimeError('{message}')".encode())
    return b"\n".join(lines)


def _functions(source: bytes) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions and methods by their dotted name; generators stay as they are when drawn, too."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    todo: list[tuple[str, ast.AST]] = [("", ast.parse(source))]
    while todo:
        prefix, parent = todo.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"{prefix}{node.name}"] = node
            elif isinstance(node, ast.ClassDef):
                todo.append((f"{prefix}{node.name}.", node))
            elif isinstance(node, ast.If | ast.Try | ast.With):
                todo.append((prefix, node))
    return found

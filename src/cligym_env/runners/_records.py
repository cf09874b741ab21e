"""Checks the records of a suite: whole and in order, or worth nothing.

The records come from a process that runs the code under test, so every byte may be forged. What a
forger cannot do here is to make *less* than a full, well-ordered run look like one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["check", "merge"]

_BADNESS = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}
_PHASES = ("setup", "call", "teardown")


class _MalformedError(Exception):
    pass


def check(records: bytes, exit_code: int | None) -> tuple[dict[str, str], bool]:
    """Read the records of ``_trusted/suite.py``.

    Args:
        records: as they came out of the sandbox.
        exit_code: of the process that wrote them; ``None`` after its deadline.

    Returns:
        Node id → outcome, and whether the records are whole: numbered without gap or repeat,
        begun and ended, tests in the order announced, set-up before call before tear-down, the
        announced exit status the real one. A test that was announced and not run through is ``error``.
    """
    rows: list[list[Any]] = []
    try:
        for row in _rows(records):
            rows.append(row)
        whole = True
    except _MalformedError:
        whole = False
    names, reports, status = _parts(rows)
    whole = whole and None not in (names, reports, status) and status == exit_code
    pairs = zip(names or (), _outcomes(len(names or ()), reports or ()), strict=True)
    return merge(pairs), whole


def merge(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join tests of equal ids: together they are what the worst of them is."""
    outcomes: dict[str, str] = {}
    for name, outcome in pairs:
        known = outcomes.get(name, "passed")
        outcomes[name] = max(outcome, known, key=_BADNESS.__getitem__)
    return outcomes


def _rows(records: bytes) -> Iterator[list[Any]]:
    lines = records.split(b"\n")
    if lines.pop() != b"":
        lines.append(b"")  # a torn last line: reported as malformed below, after the good ones
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _MalformedError from error
        if not isinstance(row, list) or len(row) < 2 or type(row[0]) is not int or row[0] != number:
            raise _MalformedError
        yield row[1:]


def _parts(rows: list[list[Any]]) -> tuple[list[str] | None, list[list[Any]] | None, int | None]:
    """The announced ids, the reports and the exit status; ``None`` for what is not in order."""
    if not rows or rows[0] != ["start"]:
        return None, None, None
    position = 1
    while position < len(rows) and rows[position][0] == "broken":
        position += 1
    status = rows[-1][1] if rows[-1][0] == "end" and len(rows[-1]) == 2 else None
    if status is None or type(status) is not int:
        status = None
    body = rows[position : -1 if rows[-1][0] == "end" else None]
    if not body:  # pytest gave up before it had collected
        return [], [], status
    if not (body[0][0] == "items" and len(body[0]) == 2 and _strings(body[0][1])):
        return None, None, status
    names: list[str] = body[0][1]
    reports = [row[1:] for row in body[1:]]
    in_order = all(row[0] == "report" for row in body[1:]) and _ordered(len(names), reports)
    return names, reports if in_order else None, status


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _ordered(n_items: int, reports: list[list[Any]]) -> bool:
    """Whether each test's reports stand together, tests in order, phases in order."""
    position, phase = -1, 0
    for report in reports:
        if not _well_formed(report, n_items):
            return False
        index, name, _, _, subtest = report
        if index != position:
            if index < position or name != "setup":
                return False
            position, phase = index, 0
        elif subtest:
            if name != "call":
                return False
        elif _PHASES.index(name) <= phase and name != "setup":
            return False
        phase = phase if subtest else _PHASES.index(name)
    return True


def _well_formed(report: list[Any], n_items: int) -> bool:
    if len(report) != 5:
        return False
    index, phase, outcome, expected, subtest = report
    return (
        type(index) is int
        and 0 <= index < n_items
        and phase in _PHASES
        and isinstance(outcome, str)
        and expected in (0, 1)
        and subtest in (0, 1)
    )


def _outcomes(n_items: int, reports: Iterable[list[Any]]) -> list[str]:
    by_item: dict[int, list[list[Any]]] = {}
    for report in reports:
        by_item.setdefault(report[0], []).append(report[1:])
    return [_outcome(by_item.get(position, [])) for position in range(n_items)]


def _outcome(reports: list[list[Any]]) -> str:
    """One test's outcome; only three passed phases, once each, are ``passed``."""
    phases = [phase for phase, _, _, subtest in reports if not subtest]
    kinds = {outcome for _, outcome, _, _ in reports}
    if any(outcome == "failed" for phase, outcome, _, _ in reports if phase != "call"):
        return "error"
    if not kinds <= {"passed", "skipped"}:
        return "failed"  # failed, or run again by a plug-in until it passed
    if "skipped" in kinds or any(expected for _, _, expected, _ in reports):
        return "skipped"
    return "passed" if phases == list(_PHASES) else "error"

"""What a policy reads after a command: the output, made readable, and one line of status."""

from __future__ import annotations

import re

from cligym_env.core import ExecResult

__all__ = ["MIN_CHARS", "observe", "readable"]

MIN_CHARS = 1_000
"""The least an observation may be allowed, so that the status always fits."""

_MARK_CHARS = 100  # for the line that says what was left out
# Every part is bounded or ends at the next escape: what a policy prints must not cost time squared.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,999}(?:\x07|\x1b\\)|[@-Z\\^_]|[ -/]+[0-~])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def readable(text: str) -> str:
    """Take colours and cursor movements out, keep of an overwritten line what stood there last.

    Args:
        text: output of a terminal program; every other control character becomes U+FFFD.
    """
    if not _CONTROL.search(text):
        return text
    lines = _ESCAPES.sub("", text).split("\n")
    text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
    return _CONTROL.sub("\ufffd", text)


def observe(result: ExecResult, trouble: str, *, turn: int, max_turns: int, max_chars: int) -> str:
    """Write the observation of one turn.

    Args:
        result: what the command did.
        trouble: why there is no exit code; empty where there is one.
        turn: number of the turn, from 1.
        max_turns: how many there are.
        max_chars: the longest observation; what lies in the middle is left out first.

    Returns:
        The output, then a line in brackets: the exit code or that there is none and why, whether
        the shell is a new one, and the turn. No times and no names of machines, so that equal
        seeds give equal observations.
    """
    status = _status(result, trouble, turn=turn, max_turns=max_turns)
    output = _cut(result, max_chars - len(status) - 1)
    if output and not output.endswith("\n"):
        output += "\n"
    return output + status


def _status(result: ExecResult, trouble: str, *, turn: int, max_turns: int) -> str:
    parts = [f"no exit code: {trouble}" if trouble else f"exit code {result.exit_code}"]
    if result.restarted:
        parts.append("the shell had ended; this is a new one in the same directory, without its variables")
    parts.append(f"turn {turn} of {max_turns}")
    return f"[{'; '.join(parts)}]"


def _cut(result: ExecResult, max_chars: int) -> str:
    """Keep the first and the last half, and say how much is missing between them."""
    raw = result.output
    if not result.n_dropped_bytes:
        text = readable(result.text)
        if len(text) < max_chars:
            return text
        room = (max_chars - _MARK_CHARS) // 2
        return f"{text[:room]}\n[… {len(text) - 2 * room} characters left out …]\n{text[-room:]}"
    middle = len(raw) // 2
    head = readable(raw[:middle].decode("utf-8", "replace"))
    tail = readable(raw[middle:].decode("utf-8", "replace"))
    room = (max_chars - _MARK_CHARS) // 2
    kept_head, kept_tail = head[:room], tail[-room:]
    missing = (
        result.n_dropped_bytes
        + len(head[room:].encode())
        + len(tail[: len(tail) - len(kept_tail)].encode())
    )
    return f"{kept_head}\n[… {missing} bytes left out …]\n{kept_tail}"

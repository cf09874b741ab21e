"""What a policy reads: readable, short enough, and nothing that differs between equal runs."""

from __future__ import annotations

import pytest

from cligym_env.core import ExecResult
from cligym_env.envs._observation import observe, readable


def seen(result: ExecResult, max_chars: int = 1_000) -> str:
    trouble = "stopped" if result.timed_out else ""
    return observe(result, trouble, turn=2, max_turns=9, max_chars=max_chars)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("plain\n\ttext ✓\n", "plain\n\ttext ✓\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "text link"),
        ("\x1b(Bplain\x1b=", "plain\ufffd="),
        ("a\r\nb\r\n", "a\nb\n"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("kept\r", "kept"),
        ("\x1b]no end", "\ufffd]no end"),
        ("\x1b[31", "\ufffd[31"),
        ("\r\r\n\r", "\n"),
        ("nul \0 bell \a back \b", "nul \ufffd bell \ufffd back \ufffd"),
    ],
)
def test_readable(raw, clean):
    assert readable(raw) == clean


@pytest.mark.parametrize("unit", ["x", "\x1b[", "\x1b]", "\x1b[0", "\x1b ", "\r", "\x1b]0;", " ", "a\r"])
def test_no_output_costs_time_squared(unit):
    """A million characters of it would take hours, and the suite's own deadline would end this."""
    assert isinstance(readable("\0" + unit * (10**6 // len(unit))), str)
    assert isinstance(readable(unit * (10**6 // len(unit)) + "\0"), str)


def test_status():
    assert seen(ExecResult(0, b"hi\n")) == "hi\n[exit code 0; turn 2 of 9]"
    assert seen(ExecResult(1, b"no end")) == "no end\n[exit code 1; turn 2 of 9]"
    assert seen(ExecResult(0, b"")) == "[exit code 0; turn 2 of 9]"
    assert seen(ExecResult(None, b"half")) == "half\n[no exit code: stopped; turn 2 of 9]"
    assert "this is a new one" in seen(ExecResult(0, b"", restarted=True))


def test_what_is_no_text_becomes_text():
    text = seen(ExecResult(0, bytes(range(256))))
    text.encode()
    assert "\0" not in text


def test_long_output_keeps_both_ends_and_says_what_is_missing():
    output = "".join(f"line {n}\n" for n in range(10_000))
    text = seen(ExecResult(0, output.encode()))
    assert len(text) <= 1_000
    assert text.startswith("line 0\n")
    assert text.endswith("line 9999\n[exit code 0; turn 2 of 9]")
    kept = text.split("\n[… ")[0], text.split(" left out …]\n")[1].split("[exit")[0]
    missing = int(text.split("[… ")[1].split(" characters")[0])
    assert len(kept[0]) + len(kept[1]) + missing == len(output)


def test_dropped_bytes_are_counted_where_they_were():
    text = seen(ExecResult(0, b"head" + b"tail", n_dropped_bytes=77))
    assert text == "head\n[… 77 bytes left out …]\ntail\n[exit code 0; turn 2 of 9]"
    long = seen(ExecResult(0, b"h" * 5_000 + b"t" * 5_000, n_dropped_bytes=77))
    assert len(long) <= 1_000
    missing = int(long.split("[… ")[1].split(" bytes")[0])
    assert long.count("h") - 0 + missing > 10_000 - 1_000
    assert long.startswith("h") and "t\n[exit code 0" in long


@pytest.mark.parametrize("n_chars", [960, 970, 971, 972, 973, 1_000, 1_001])
def test_no_observation_is_too_long(n_chars):
    assert len(seen(ExecResult(0, b"x" * n_chars))) <= 1_000
    assert len(seen(ExecResult(None, b"x" * n_chars, restarted=True, n_dropped_bytes=9**9))) <= 1_000

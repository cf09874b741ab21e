"""The texts a policy reads: three levels, with and without the hint, symptoms and never the cause."""

from __future__ import annotations

from dataclasses import replace

import pytest
from inversion_samples import GOLD, INVERSION, PATHS, task

from cligym_env import tasks
from cligym_env.core import Entry, Inversion, PathState
from cligym_env.errors import UsageError

FILE = Entry("file", 0o644, 0, 0, 100, sha256="a" * 64)
OTHER = replace(FILE, sha256="b" * 64)


def test_six_texts_differ_and_grow():
    made = task()
    texts = [
        tasks.instruction(made, GOLD, guidance=guidance, hint=hint)
        for guidance in (0, 1, 2)
        for hint in (False, True)
    ]
    assert len(set(texts)) == 6
    assert len(texts[0]) < len(texts[2]) < len(texts[4])
    for text in texts:
        assert "submit" in text
        assert "on the disk" in text
        assert made.id not in text
        assert not tasks.leaks(text, made.inversion, made.paths)
    assert all(INVERSION.hint in text for text in texts[1::2])
    assert not any(INVERSION.hint in text for text in texts[::2])


def test_levels():
    made = task()
    terse, symptoms, full = (tasks.instruction(made, GOLD, guidance=level) for level in (0, 1, 2))
    command = tasks.test_command(GOLD)
    assert "AssertionError" in terse and "ValueError" not in terse and command not in terse
    assert "ValueError" in symptoms and command in symptoms and "test_0[a b]" not in symptoms
    assert "test_0[a b]" in full and "own source" in full


def test_no_such_level():
    with pytest.raises(UsageError, match="0, 1, 2"):
        tasks.instruction(task(), GOLD, guidance=3)


def test_the_command_runs_as_the_test_user():
    assert tasks.test_command(GOLD).startswith("runuser dev -c 'cd /testbed && python -m pytest")
    assert tasks.test_command(replace(GOLD, user="root")).startswith("cd /testbed && python -m pytest")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/testbed/h11/_readers.py", "h11/_readers.py:12: in f"),
        ("/testbed/h11/_readers.py", 'File "/testbed/h11/_readers.py", line 3'),
        ("/testbed/h11/_readers.py", "in _readers.py"),
        ("/usr/lib/x86_64-linux-gnu/libyaml-0.so.2.0.9", "libyaml-0.so.2: invalid ELF header"),
        ("/usr/lib/x86_64-linux-gnu/libyaml-0.so.2.0.9", "/lib/libyaml-0.so: short"),
        ("/opt/venv/m/_speedups.cpython-311-x86_64-linux-gnu.so", "cannot open _speedups.cpython-311.so"),
        ("/usr/share/zoneinfo/Europe/Berlin", "no zone Europe/Berlin"),
        ("/etc/ssl/openssl.cnf", "see openssl.cnf."),
    ],
)
def test_a_changed_file_is_never_named(path, text):
    paths = (PathState(path, FILE, OTHER),)
    assert tasks.leaks(text, INVERSION, paths)
    clean = tasks.scrub(text, INVERSION, paths)
    assert not tasks.leaks(clean, INVERSION, paths)
    assert "…" in clean


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/testbed/click/termui.py", "tests/test_termui.py::test_x failed"),
        ("/testbed/h11/__init__.py", "tests/__init__.py"),
        ("/usr/lib/libyaml-0.so.2", "libyaml is missing"),
        ("/opt/venv/bin/python", "python: not found"),
    ],
)
def test_other_names_stay(path, text):
    assert not tasks.leaks(text, INVERSION, (PathState(path, FILE, OTHER),))


def test_a_folder_is_known_by_two_parts_only():
    paths = (PathState("/testbed/h11", Entry("dir", 0o755), Entry("dir", 0o700)),)
    assert not tasks.leaks("the suite of h11", INVERSION, paths)
    assert tasks.leaks("cannot open /testbed/h11", INVERSION, paths)


def test_text_of_commands_is_a_leak():
    inversion = Inversion("h11", "f", "other", ("true\n  chmod 000 /etc/some\n",), ("true",), "h")
    assert tasks.leaks("it says chmod 000 /etc/some here", inversion, PATHS)
    assert not tasks.leaks("true", inversion, PATHS)


LOG = """\
.....F
=================================== FAILURES ===================================
__________________________________ test_fails __________________________________
h11/tests/test_io.py:3: in test_fails
    assert 3 == 4
E   assert 3 == 4
h11/tests/test_io.py:9: in test_other
E   \x1b[31mImportError\x1b[0m: cannot import name 'x'\x07
E   assert 3 == 4
=========================== short test summary info ============================
FAILED h11/tests/test_io.py::test_fails - assert 3 == 4
1 failed, 5 passed in 0.03s
"""


def test_failures_picks_each_telling_line_once():
    assert tasks.failures(LOG) == "assert 3 == 4\nImportError: cannot import name 'x'"


def test_failures_is_bounded():
    log = "\n".join(f"E   line {n} " + "x" * 5000 for n in range(1000))
    lines = tasks.failures(log).splitlines()
    assert len(lines) <= 12
    assert all(len(line) <= 200 for line in lines)


@pytest.mark.parametrize("log", ["", "\n\n", "\x1b[0m"])
def test_failures_of_silence_is_a_sentence(log):
    assert tasks.failures(log).endswith(".")


def test_failures_falls_back_to_the_last_lines():
    assert tasks.failures("a\nb\n\nSegmentation fault\n") == "a\nb\nSegmentation fault"


def test_failures_of_a_run_that_only_skips_are_its_summary():
    assert tasks.failures("....ssss  [100%]\n..s\n4 passed, 4 skipped in 0.12s\n") == "4 passed, 4 skipped"

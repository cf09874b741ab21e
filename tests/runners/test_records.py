"""The record checker: less than a whole, well-ordered run is never a whole report."""

import json
import random

import pytest

from cligym_env.runners import _records

IDS = ["t.py::a", "t.py::b[x y]", "t.py::c[\0]", "t.py::d[é\ud800]"]


def rows(names=IDS, outcomes=("passed",) * 4, status=0):
    made = [["start"], ["items", names]]
    for index, outcome in enumerate(outcomes):
        made += [
            ["report", index, phase, outcome if phase == "call" else "passed", 0, 0] for phase in _PHASES
        ]
    return [[number, *row] for number, row in enumerate([*made, ["end", status]])]


_PHASES = ("setup", "call", "teardown")


def pack(made) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in made).encode()


def test_a_whole_report():
    outcomes, whole = _records.check(pack(rows()), 0)
    assert whole
    assert outcomes == dict.fromkeys(IDS, "passed")


@pytest.mark.parametrize("n_lost", range(1, 15))
def test_truncated(n_lost):
    assert not _records.check(pack(rows()[:-n_lost]), 0)[1]
    assert not _records.check(pack(rows()[:-n_lost]), None)[1]


def test_truncated_within_the_last_line():
    assert not _records.check(pack(rows())[:-1], 0)[1]


@pytest.mark.parametrize("at", range(14))
def test_a_line_is_missing_or_repeated(at):
    made = rows()
    assert not _records.check(pack(made[:at] + made[at + 1 :]), 0)[1] or at == 14
    assert not _records.check(pack(made[: at + 1] + made[at:]), 0)[1]


@pytest.mark.parametrize("seed", range(20))
def test_reordered(seed):
    made = rows()
    shuffled = [row[1:] for row in made]
    random.Random(seed).shuffle(shuffled)
    if shuffled == [row[1:] for row in made]:
        return
    renumbered = [[number, *row] for number, row in enumerate(shuffled)]
    assert not _records.check(pack(renumbered), 0)[1]


def test_numbers_start_at_nought_and_are_numbers():
    made = rows()
    assert not _records.check(pack([[row[0] + 1, *row[1:]] for row in made]), 0)[1]
    assert not _records.check(pack([[False, "start"], *made[1:]]), 0)[1]


def test_two_reports_in_one():
    assert not _records.check(pack(rows()) + pack(rows()), 0)[1]


def test_another_exit_status_than_the_announced():
    assert not _records.check(pack(rows()), 1)[1]
    assert not _records.check(pack(rows()), None)[1]
    assert not _records.check(pack(rows()), -9)[1]


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"[" * 100_000,
        b"\xff\xfe\n",
        b'[0,"start"]\n[1,"end",0]\n[2,"end",0]\n',
        b'[0,"start"]\n[1,"items",["a",1]]\n[2,"end",0]\n',
        b'[0,"start"]\n[1,"items",["a"]]\n[2,"report",7,"setup","passed",0,0]\n[3,"end",0]\n',
        b'[0,"start"]\n[1,"items",["a"]]\n[2,"report",0,"call","passed",0,0]\n[3,"end",0]\n',
        b'[0,"start"]\n[1,"items",["a"]]\n[2,"report",0,"setup",[],0,0]\n[3,"end",0]\n',
        b'[0,"start"]\n[1,"items",["a"]]\n[2,"report",0,"setup"]\n[3,"end",0]\n',
        b'[0,"start"]\n[1,"items",["a"]]\n[2,"items",["a"]]\n[3,"end",0]\n',
        b'[0,"start"]\n[1,"end",true]\n',
        b'[0,"start"]\n[1,{}]\n[2,"end",0]\n',
    ],
)
def test_forged(forged):
    assert not _records.check(forged, None)[1]
    outcomes, whole = _records.check(forged, 0)
    assert not whole
    assert "passed" not in outcomes.values()


def test_a_suite_that_collects_nothing_is_whole_and_passes_nothing():
    assert _records.check(pack([[0, "start"], [1, "broken", "t.py"], [2, "end", 4]]), 4) == ({}, True)


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        ([("setup", "passed", 0, 0), ("call", "passed", 0, 0), ("teardown", "passed", 0, 0)], "passed"),
        ([("setup", "passed", 0, 0), ("call", "failed", 0, 0), ("teardown", "passed", 0, 0)], "failed"),
        ([("setup", "passed", 0, 0), ("call", "passed", 0, 0), ("teardown", "failed", 0, 0)], "error"),
        ([("setup", "failed", 0, 0), ("teardown", "passed", 0, 0)], "error"),
        ([("setup", "skipped", 0, 0), ("teardown", "passed", 0, 0)], "skipped"),
        ([("setup", "passed", 0, 0), ("call", "skipped", 1, 0), ("teardown", "passed", 0, 0)], "skipped"),
        ([("setup", "passed", 0, 0), ("call", "passed", 1, 0), ("teardown", "passed", 0, 0)], "skipped"),
        ([("setup", "passed", 0, 0), ("call", "rerun", 0, 0), ("teardown", "passed", 0, 0)], "failed"),
        ([("setup", "passed", 0, 0), ("call", "passed", 0, 0)], "error"),
        ([("setup", "passed", 0, 0), ("teardown", "passed", 0, 0)], "error"),
        ([], "error"),
        (
            [
                ("setup", "passed", 0, 0),
                ("call", "failed", 0, 1),
                ("call", "passed", 0, 0),
                ("teardown", "passed", 0, 0),
            ],
            "failed",
        ),
    ],
)
def test_one_test(reports, outcome):
    made = [[0, "start"], [1, "items", ["a"]]]
    made += [[number, "report", 0, *report] for number, report in enumerate(reports, 2)]
    made.append([len(made), "end", 1])
    assert _records.check(pack(made), 1) == ({"a": outcome}, True)


def test_equal_ids_are_what_the_worst_of_them_is():
    made = rows(["same", "same", "other", "same"], ("passed", "failed", "passed", "passed"), 1)
    assert _records.check(pack(made), 1) == ({"same": "failed", "other": "passed"}, True)

"""Each gate refuses what it must: real inversions of a real gold, in real sandboxes."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from cligym_env import admission, tasks
from cligym_env import gold as golds
from cligym_env.core import Inversion
from cligym_env.errors import GoldError, ImageError, RejectedError, UsageError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gold():
    return golds.load("h11")


@pytest.fixture(scope="module")
def backend(machines):
    return machines("embedded")


def candidate(*commands, solution=("true",), hint="Something in the parser is off.", **changes):
    made = Inversion("h11", "by-hand", "other", commands, solution, hint)
    return replace(made, **changes)


def refused(gate, inversion, gold, backend):
    with pytest.raises(RejectedError) as caught:
        admission.admit(inversion, gold, backend, seed=0)
    assert caught.value.gate == gate, str(caught.value)
    return caught.value.reason


# A break that some of the tests notice, and others do not.
FEW = "sed -i 's/partial_idx + 2/partial_idx + 1/' h11/_receivebuffer.py"
FEW_BACK = "sed -i 's/partial_idx + 1/partial_idx + 2/' h11/_receivebuffer.py"


@pytest.fixture(scope="module")
def good(gold, backend):
    """An inversion of h11 that is a task."""
    gates = []
    inversion = candidate(FEW, solution=(FEW_BACK,))
    made = admission.admit(inversion, gold, backend, seed=5, passed=gates.append)
    return made, gates


def test_a_good_one_passes_all_gates(good, gold, backend):
    task, gates = good
    assert tuple(gates) == admission.GATES == tuple(task.gates)
    assert 0 < len(task.fail_to_pass) < len(gold.passing)
    assert len(task.fail_to_pass) + task.n_pass_to_pass == len(gold.passing)
    assert task.fail_to_pass == tuple(sorted(task.fail_to_pass))
    assert [state.path for state in task.paths] == ["/testbed/h11/_receivebuffer.py"]
    assert task.seed == 5
    assert task.gold_hash == gold.content_hash
    assert task.symptoms.strip()


def test_it_holds_again(good, gold, backend):
    task, _ = good
    found = admission.validate(task, gold, backend, n_gold=admission.N_GOLD)
    assert found.holds, found
    assert (found.broken, found.noop, found.solution) == (3, 0.0, 1.0)


def test_it_is_written_and_read(good, gold, tmp_path):
    task, _ = good
    tasks.write(task, gold, tmp_path / task.id)
    assert tasks.read(tmp_path / task.id) == task


def test_its_image_is_kept_and_sealed(good, gold, backend):
    task, _ = good
    image = tasks.image(task, gold, backend)
    assert tasks.image(task, gold, backend) == image
    sandbox = backend.start(image)
    try:
        look = "cd /testbed; git status --porcelain; git log --oneline --all | wc -l; git diff --stat"
        assert sandbox.exec(look, timeout_s=300).text.split() == ["1"]
        assert (
            "partial_idx + 1"
            in sandbox.exec("git -C /testbed show HEAD:h11/_receivebuffer.py", timeout_s=300).text
        )
        every = "git -C /testbed cat-file --batch-all-objects --batch | grep -ac 'partial_idx + 2'"
        assert sandbox.exec(every, timeout_s=300).text.split() == ["0"]
        stale = sandbox.exec("ls /testbed/h11/__pycache__ | grep -c '^_receivebuffer'", timeout_s=300)
        assert stale.text.split() == ["0"]
        assert sandbox.exec("stat -c %U /testbed/.git/HEAD", timeout_s=300).text.split() == ["dev"]
    finally:
        sandbox.close()


def test_an_image_that_became_another_is_refused(good, gold, backend):
    task, _ = good
    state = task.paths[0]
    wrong = replace(state, broken=replace(state.broken, sha256="0" * 64))
    other = replace(task, id="h11.by-hand.00000000", paths=(wrong,))
    with pytest.raises(ImageError, match="not what it was"):
        tasks.image(other, gold, backend)
    inversion = replace(task.inversion, commands=(*task.inversion.commands, "echo x > /opt/more"))
    with pytest.raises(ImageError, match="/opt/more changed"):
        tasks.image(replace(task, id="h11.by-hand.00000001", inversion=inversion), gold, backend)
    inversion = replace(task.inversion, commands=("false",))
    with pytest.raises(ImageError, match="command 1 of 1"):
        tasks.image(replace(task, id="h11.by-hand.00000002", inversion=inversion), gold, backend)


@pytest.mark.parametrize(
    ("gate", "commands", "reason"),
    [
        ("replay", ["false"], "ended with 1"),
        ("replay", [FEW, "exit 0"], "ended the shell"),
        ("replay", [FEW, "date +%N > /opt/now"], "/opt/now"),
        ("replay", [FEW, "head -c 8 /dev/urandom > /opt/chance"], "/opt/chance"),
        ("paths", ["true"], "nothing on the disk"),
        ("paths", ["export PYTHONPATH=/nowhere"], "nothing on the disk"),
        ("paths", ["rm h11/tests/test_io.py"], "tests"),
        ("paths", ["rm -r h11/tests"], "tests"),
        ("paths", ["echo 'raise SystemExit' > conftest.py"], "tests"),
        ("paths", ["printf '[pytest]\\naddopts = --nope\\n' > pytest.ini"], "configures"),
        ("paths", [FEW, "echo x >> .git/description"], "git"),
        ("paths", ["mkdir /opt/x && for n in $(seq 100); do echo $n > /opt/x/$n; done"], "paths change"),
        ("paths", [FEW, "chmod u+s /usr/bin/env"], "set-id"),
        ("leaks", [f"cp h11/_receivebuffer.py /opt/copy.py; {FEW}"], "holds what"),
        ("leaks", [f"gzip -nc h11/_receivebuffer.py > /opt/copy; {FEW}"], "holds what"),
        ("leaks", [f"cp h11/_receivebuffer.py h11/_receivebuffer.py.orig; {FEW}"], "backup"),
        ("leaks", [f"cp h11/__pycache__/_receivebuffer.*.pyc /opt; {FEW}"], "bytecode"),
        ("leaks", [f"{FEW}; echo 'nano h11' > /root/.bash_history"], "history"),
        ("broken", ["echo harmless > /opt/note"], "no test fails"),
        ("broken", ["sleep 1000 & disown", "echo x > /opt/note"], "no test fails"),
        ("pass_to_pass", ["echo 'raise ImportError' > h11/__init__.py"], "no test is left"),
        ("solution", [FEW], "earns 0"),
    ],
)
def test_gates(gate, commands, reason, gold, backend):
    assert reason in refused(gate, candidate(*commands), gold, backend)


def test_a_break_that_heals_itself_is_refused(gold, backend):
    """Whoever runs the tests once would have repaired it."""
    healing = (
        "with open(__file__) as stream:\n"
        "    head, _, rest = stream.read().partition('# ' + 'end\\n')\n"
        "with open(__file__, 'w') as stream:\n"
        "    stream.write(rest)\n"
        "class bytes(bytes):\n"
        "    def __new__(cls, *args): return b''\n"
        "# end\n"
    )
    add = (
        "import sys; name = 'h11/_receivebuffer.py'; text = open(name).read(); "
        "open(name, 'w').write(sys.argv[1] + text)"
    )
    inversion = candidate(f"python3 -c {shlex.quote(add)} {shlex.quote(healing)}")
    assert "mends" in refused("broken", inversion, gold, backend)


@pytest.mark.parametrize("place", ["/tmp/flag", "/dev/shm/flag", "/run/flag"])
def test_a_break_in_a_temporary_file_is_refused(place, gold, backend):
    reason = refused("paths", candidate(f"echo here > {place}"), gold, backend)
    assert "temporary" in reason or "nothing on the disk" in reason


def test_a_second_copy_of_a_source_is_refused(gold, backend):
    """The copy is made in the gold itself, so it is among what the inversion did not change."""
    reason = refused("leaks", candidate("mkdir -p /opt/site && cp -r h11 /opt/site/", FEW), gold, backend)
    assert "holds what" in reason or "copy" in reason


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        ("Look at _receivebuffer.py.", "names the cause"),
        ("Somebody ran " + FEW, "names the cause"),
        ("", "one sentence"),
        ("a\nb", "one sentence"),
        ("x" * 500, "one sentence"),
    ],
)
def test_hints_that_say_too_much_or_nothing(hint, reason, gold, backend):
    inversion = candidate(FEW, solution=(FEW_BACK,), hint=hint)
    assert reason in refused("instruction", inversion, gold, backend)


def test_a_gold_that_does_not_hold_is_no_ones_fault_but_its_own(gold, backend):
    wrong = replace(
        gold, passing=(*gold.passing, "h11/tests/test_io.py::test_nothing"), content_hash="0" * 64
    )
    with pytest.raises(GoldError, match="test_nothing"):
        admission.admit(candidate(FEW), wrong, backend, seed=0)


def test_another_golds_inversion(gold, backend):
    with pytest.raises(UsageError, match="click"):
        admission.admit(candidate(FEW, gold="click"), gold, backend, seed=0)

"""The scripts of a task folder do what Harbor expects: 0 before the solution, 1 after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cligym_env import environ, tasks
from cligym_env import gold as golds

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).parents[2] / "envs" / "tasks"


def some():
    """The first task of a Python gold, of a C gold, and of those that live in a login's variables."""
    folders = sorted(SHIPPED.glob("*.*.*"))
    kinds = ("h11.", "cjson.", ".proxy-variable.")
    return [next(folder for folder in folders if kind in folder.name) for kind in kinds]


@pytest.mark.parametrize("folder", some(), ids=lambda folder: folder.name.rpartition(".")[0])
def test_scripts(folder, machines):
    backend = machines("embedded")
    task = tasks.read(folder)
    gold = golds.load(task.gold)
    sandbox = backend.start(tasks.image(task, gold, backend))
    try:
        variables = environ.of(gold, sandbox, user="root")

        def reward():
            sandbox.write("/tests/test.sh", (folder / "tests/test.sh").read_bytes(), mode=0o755)
            done = sandbox.exec(["/tests/test.sh"], timeout_s=300, cwd=gold.workdir, environ=variables)
            return json.loads(sandbox.read("/logs/verifier/reward.json")), done.text

        assert reward()[0] == {"reward": 0}
        sandbox.write("/solution/solve.sh", (folder / "solution/solve.sh").read_bytes(), mode=0o755)
        solved = sandbox.exec(["/solution/solve.sh"], timeout_s=300, cwd="/", environ=variables)
        assert solved.exit_code == 0, solved.text
        variables = environ.of(gold, sandbox, user="root")
        told, output = reward()
        assert told == {"reward": 1}, output + sandbox.read("/logs/verifier/output.txt").decode()[-2000:]
    finally:
        sandbox.close()

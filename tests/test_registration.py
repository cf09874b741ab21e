"""Ids from folder names: quickly, and only good ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

import cligym_env
from cligym_env import registration
from cligym_env.errors import UsageError


@pytest.fixture
def clean(monkeypatch):
    """A registry of one's own."""
    monkeypatch.setattr(gymnasium.envs.registration, "registry", registry := dict(gymnasium.registry))
    monkeypatch.setattr(gymnasium, "registry", registry)
    monkeypatch.setattr(registration, "_folders", dict(registration._folders))
    monkeypatch.setattr(registration, "_golds", set(registration._golds))
    return registry


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


def imported(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_ten_thousand_tasks_open_no_file_and_import_no_more(tmp_path):
    """No second is asserted: what costs them is, a look into each folder or a scan for each id."""
    names = [f"gold{n % 40}.family-{n % 17}.{n:08x}" for n in range(10_000)]
    folders(tmp_path / "tasks", *names)
    script = (
        "import json, sys, gymnasium\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "import cligym_env\n"
        "ids = [name for name in gymnasium.registry if name.startswith('CLIGym/')]\n"
        f"inside = [name for name in opened if name.startswith({str(tmp_path)!r})]\n"
        "print(json.dumps([len(ids), inside, len(cligym_env.list_tasks()), 'tomlkit' in sys.modules]))\n"
    )
    done = imported(script, CLIGYM_DATA=str(tmp_path), CLIGYM_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    n_ids, inside, n_tasks, _ = json.loads(done.stdout)
    assert (n_ids, inside, n_tasks) == (10_000, [], 10_000)
    assert done.stderr == ""
    assert not (tmp_path / "home").exists()


def test_every_shipped_task_and_gold_has_an_id():
    for name in cligym_env.list_tasks():
        spec = gymnasium.spec(f"CLIGym/{name}")
        assert spec.max_episode_steps is None
        assert json.loads(json.dumps(spec.kwargs)) == spec.kwargs
    for name in registration.golds():
        assert gymnasium.spec(f"CLIGym/break.{name}").kwargs == {"gold": name}


def test_registering_again_changes_nothing(clean, tmp_path):
    folders(tmp_path, "one.two.00000001", ".hidden.x.1", "_private.x.1")
    (tmp_path / "rejected.jsonl").write_text("")
    assert registration.register(tmp_path) == ("one.two.00000001",)
    before = dict(clean)
    assert registration.register(tmp_path) == ()
    assert registration.register() == ()
    assert clean == before
    assert clean["CLIGym/one.two.00000001"].kwargs == {"task": str(tmp_path / "one.two.00000001")}
    assert registration.folders()["one.two.00000001"] == tmp_path / "one.two.00000001"


@pytest.mark.parametrize(
    "name", ["a b.c.d", "a:b.c.d", "a@1.c.d", "a+b.c.d", "ü.c.d", "single", "a..b", "a.b-v2"]
)
def test_names_that_are_no_ids(clean, tmp_path, name):
    folders(tmp_path, name, "good.one.00000001")
    before = dict(clean)
    with pytest.raises(UsageError, match="task id"):
        registration.register(tmp_path)
    assert clean == before


def test_an_id_that_is_taken(clean, tmp_path):
    folders(tmp_path / "a", "one.two.00000001")
    folders(tmp_path / "b", "one.two.00000001")
    registration.register(tmp_path / "a")
    with pytest.raises(UsageError, match="taken by"):
        registration.register(tmp_path / "b")
    clean["CLIGym/other.thing.1"] = clean["CLIGym/one.two.00000001"]
    with pytest.raises(UsageError, match="taken by something else"):
        registration.register(folders(tmp_path / "c", "other.thing.1"))


def test_no_folder(clean, tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        registration.register(tmp_path / "nowhere")


def test_an_import_warns_and_goes_on(tmp_path):
    folders(tmp_path / "tasks", "bad name.x.1", "good.one.00000001")
    folders(tmp_path / "home" / "tasks", "good.one.00000001", "mine.two.00000002")
    done = imported(
        "import cligym_env; print(*cligym_env.list_tasks())",
        CLIGYM_DATA=str(tmp_path),
        CLIGYM_HOME=str(tmp_path / "home"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["good.one.00000001", "mine.two.00000002"]
    assert "'bad name.x.1' is no task id" in done.stderr
    assert "taken by" in done.stderr


def test_what_the_package_offers():
    for name in cligym_env.__all__:
        assert getattr(cligym_env, name)
    assert set(cligym_env.__all__) <= set(dir(cligym_env))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = cligym_env.nonsense

"""Tasks by id and by filter, back ends by name."""

from __future__ import annotations

import multiprocessing
import socket
import threading

import pytest

import cligym_env
from cligym_env import catalog
from cligym_env.core import CATEGORIES
from cligym_env.errors import BackendUnavailableError, RecipeError, UnknownNameError, UsageError

ALL = cligym_env.list_tasks()


# ── tasks ───────────────────────────────────────────────────────────────────────────────────


def test_a_task_by_id_and_by_folder():
    task = catalog.task(ALL[0])
    assert task.id == ALL[0]
    assert catalog.task(f"CLIGym/{ALL[0]}") == task
    assert catalog.task(str(catalog.folders()[ALL[0]])) == task


def test_filters_part_the_tasks():
    assert sorted(ALL) == list(ALL)
    for by, values in (("category", CATEGORIES), ("split", ("train", "test"))):
        parts = [catalog.list_tasks(**{by: value}) for value in values]
        assert sorted(name for part in parts for name in part) == list(ALL)
    task = catalog.task(ALL[0])
    some = catalog.list_tasks(gold=task.gold, category=task.category, family=task.family, split=task.split)
    assert task.id in some
    assert all(catalog.task(name).gold == task.gold for name in some)


@pytest.mark.parametrize(
    ("by", "name", "nearest"),
    [
        ("gold", "h1", "h11"),
        ("category", "file system", "file-system"),
        ("category", "concurency", "concurrency"),
        ("split", "trian", "train"),
        ("family", "planted-pht", "planted-pth"),
    ],
)
def test_a_filter_nothing_has_names_the_nearest(by, name, nearest):
    with pytest.raises(UnknownNameError) as caught:
        catalog.list_tasks(**{by: name})
    assert caught.value.kind == by
    assert nearest in caught.value.nearest


def test_unknown_tasks():
    with pytest.raises(UnknownNameError) as caught:
        catalog.task(ALL[0][:-2])
    assert ALL[0] in caught.value.nearest
    with pytest.raises(RecipeError):
        catalog.task("/no/such/folder")
    with pytest.raises(UsageError):
        catalog.task(None)


# ── back ends ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("CLIGYM_BACKEND", raising=False)
    monkeypatch.setattr(catalog, "_shared", {})
    catalog._choose.cache_clear()
    yield
    catalog._choose.cache_clear()


def test_the_variable_chooses(monkeypatch):
    monkeypatch.setenv("CLIGYM_BACKEND", "fake")
    assert catalog.default_backend() == "fake"
    assert catalog.open_backend().name == "fake"
    assert catalog.shared_backend().name == "fake"
    monkeypatch.setenv("CLIGYM_BACKEND", "dokcer")
    with pytest.raises(UnknownNameError, match="docker"):
        catalog.default_backend()


def test_own_and_shared(monkeypatch):
    assert catalog.shared_backend("fake") is catalog.shared_backend("fake")
    assert catalog.open_backend("fake") is not catalog.open_backend("fake")
    with pytest.raises(UnknownNameError):
        catalog.open_backend("fkae")
    with pytest.raises(UsageError):
        catalog.open_backend(None)


def test_threads_share_one(monkeypatch):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(catalog.shared_backend("fake"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1


def test_a_forked_child_shares_nothing():
    mine = id(catalog.shared_backend("fake"))
    ctx = multiprocessing.get_context("fork")
    answers = ctx.SimpleQueue()
    with catalog._lock:  # held by another thread at the fork, as far as the child can tell
        child = ctx.Process(
            target=lambda: answers.put((id(catalog.shared_backend("fake")), len(catalog._shared)))
        )
        child.start()
    child.join(300)
    assert child.exitcode == 0
    theirs, n_shared = answers.get()
    assert (theirs != mine, n_shared) == (True, 1)


def chosen(monkeypatch, problems):
    """What is chosen where back ends have these problems."""

    class Backend:
        def __init__(self, name):
            self.name = name

        def problems(self):
            return problems[self.name]

        def close(self):
            pass

    monkeypatch.setattr(catalog, "open_backend", Backend)
    monkeypatch.setattr(catalog, "_engine_answers", lambda: "docker" in problems)
    return catalog.default_backend()


def test_docker_where_an_engine_answers_else_embedded(monkeypatch):
    assert chosen(monkeypatch, {"docker": (), "embedded": ()}) == "docker"
    catalog._choose.cache_clear()
    assert chosen(monkeypatch, {"docker": ("too old",), "embedded": ()}) == "embedded"
    catalog._choose.cache_clear()
    assert chosen(monkeypatch, {"embedded": ()}) == "embedded"


def test_none_works(monkeypatch):
    with pytest.raises(BackendUnavailableError, match=r"install docker.*enable user namespaces"):
        chosen(monkeypatch, {"embedded": ("enable user namespaces",)})


@pytest.mark.parametrize(
    "host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "nonsense", "tcp://[:x"]
)
def test_an_engine_that_does_not_answer(monkeypatch, host):
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setattr(catalog, "_DEFAULT_SOCKET", "/nowhere/docker.sock")
    assert catalog._engine_answers() is False


def test_an_engine_that_answers(monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
        assert catalog._engine_answers() is True
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert catalog._engine_answers() is True

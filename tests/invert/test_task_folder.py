"""A task folder: round trip, what is malformed, what others read in it."""

from __future__ import annotations

import os
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomlkit
from inversion_samples import GOLD, INVERSION, PATHS, task

from cligym_env import tasks
from cligym_env.errors import RecipeError, UsageError


@pytest.fixture
def known_gold(monkeypatch):
    monkeypatch.setattr("cligym_env.gold.load", lambda name: GOLD)


def written(folder: Path, made=None) -> Path:
    made = made or task()
    place = folder / made.id
    tasks.write(made, GOLD, place)
    return place


def edit(place: Path, change) -> None:
    document = tomlkit.parse((place / "task.toml").read_text())
    change(document)
    (place / "task.toml").write_text(tomlkit.dumps(document))


@pytest.mark.parametrize(
    "symptoms",
    [
        "one line",
        'ends with a quote "',
        'three """ quotes',
        "back \\ slash\nand lines\n  indented",
        "ünï ✓ 𝛼 \t tab",
        "…",
    ],
)
def test_round_trip(tmp_path, symptoms):
    made = task(symptoms=symptoms)
    assert tasks.read(written(tmp_path, made)) == made


def test_round_trip_of_hostile_texts(tmp_path):
    inversion = replace(
        INVERSION,
        commands=(
            "printf '\\x7fELF' > x\ncat <<'END' > y\n\"\"\" ''' \\\nEND",
            "echo $'\\e[0m' \x1b[31m \x07",
        ),
        solution=("true # '''",),
    )
    made = task(inversion)
    assert tasks.read(written(tmp_path, made)) == made


def test_many_failing_tests_are_written_as_positions(tmp_path, known_gold):
    failing = tuple(sorted(GOLD.passing[:7] + GOLD.passing[9:10] + GOLD.passing[20:390]))
    gold = replace(GOLD, passing=tuple(sorted(GOLD.passing)))
    made = task(fail_to_pass=failing, n_pass_to_pass=len(GOLD.passing) - len(failing))
    place = tmp_path / made.id
    tasks.write(made, gold, place)
    table = tomllib.loads((place / "task.toml").read_text())["metadata"]["cligym"]
    assert "fail_to_pass" not in table
    assert len(table["fail_to_pass_positions"]) < 500


def test_positions_come_back(tmp_path, monkeypatch):
    gold = replace(GOLD, passing=tuple(sorted(GOLD.passing)))
    monkeypatch.setattr("cligym_env.gold.load", lambda name: gold)
    failing = gold.passing[:7] + gold.passing[9:10] + gold.passing[20:390]
    made = task(fail_to_pass=failing, n_pass_to_pass=22)
    place = tmp_path / made.id
    tasks.write(made, gold, place)
    assert tasks.read(place) == made
    monkeypatch.setattr("cligym_env.gold.load", lambda name: replace(gold, passing=gold.passing[1:]))
    with pytest.raises(RecipeError, match="fail_to_pass"):
        tasks.read(place)


def test_write_replaces_and_leaves_nothing_beside(tmp_path):
    place = written(tmp_path)
    (place / "stale").write_text("x")
    written(tmp_path)
    assert not (place / "stale").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == [place.name]


def test_a_task_that_is_too_large_is_not_written(tmp_path):
    made = task(symptoms="x" * 17_000)
    with pytest.raises(UsageError, match="bytes of text"):
        written(tmp_path, made)
    assert list(tmp_path.iterdir()) == []


def test_another_golds_task_is_not_written(tmp_path):
    with pytest.raises(UsageError, match="belongs to h11"):
        tasks.write(task(), replace(GOLD, name="click"), tmp_path / "x")


def cligym(key, value):
    def change(document):
        document["metadata"]["cligym"][key] = value

    return change


def without(key):
    def change(document):
        del document["metadata"]["cligym"][key]

    return change


def first_path(key, value):
    def change(document):
        document["metadata"]["cligym"]["paths"][0][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda document: document.update(schema_version="9"), "schema_version"),
        (lambda document: document.remove("metadata"), "metadata.cligym"),
        (lambda document: document["metadata"].update(cligym=3), "metadata.cligym"),
        (cligym("schema", 99), "metadata.cligym.schema"),
        (cligym("id", "h11.source-logic.nothex"), "metadata.cligym.id"),
        (cligym("id", "h11.source-logic.00000000"), "metadata.cligym.id"),
        (cligym("id", "click.source-logic.00000000"), "metadata.cligym.id"),
        (without("id"), "metadata.cligym.id"),
        (cligym("category", "fun"), "metadata.cligym.category"),
        (cligym("commands", []), "metadata.cligym.commands"),
        (cligym("commands", "rm x"), "metadata.cligym.commands"),
        (cligym("commands", ["rm x", 3]), "metadata.cligym.commands"),
        (cligym("commands", ["rm \0"]), "metadata.cligym.commands"),
        (cligym("commands", ["rm -f other"]), "metadata.cligym.id"),
        (without("solution"), "metadata.cligym.solution"),
        (cligym("seed", "x"), "metadata.cligym.seed"),
        (cligym("seed", -1), "metadata.cligym.seed"),
        (cligym("seed", True), "metadata.cligym.seed"),
        (cligym("split", "validation"), "metadata.cligym.split"),
        (cligym("split", "test" if task().split == "train" else "train"), "metadata.cligym.split"),
        (cligym("hint", ""), "metadata.cligym.hint"),
        (cligym("symptoms", 1), "metadata.cligym.symptoms"),
        (cligym("n_pass_to_pass", 0), "metadata.cligym.n_pass_to_pass"),
        (cligym("fail_to_pass", ["other"]), "metadata.cligym.fail_to_pass"),
        (cligym("gates", {"noop": 0}), "metadata.cligym.gates"),
        (cligym("paths", []), "metadata.cligym.paths"),
        (cligym("paths", ["/etc"]), "metadata.cligym.paths"),
        (first_path("path", "etc/x"), "metadata.cligym.paths[0].path"),
        (first_path("gold", "file 999 0:0"), "metadata.cligym.paths[0].gold"),
        (first_path("broken", 7), "metadata.cligym.paths[0].broken"),
    ],
)
def test_malformed(tmp_path, change, key):
    place = written(tmp_path)
    edit(place, change)
    with pytest.raises(RecipeError) as caught:
        tasks.read(place)
    assert caught.value.key == key
    assert caught.value.file == str(place / "task.toml")
    assert caught.value.expected.startswith("expected")


@pytest.mark.parametrize("content", [b"= nonsense", b"\xff\xfe", b"[a]\n[a]\n"])
def test_no_toml(tmp_path, content):
    place = written(tmp_path)
    (place / "task.toml").write_bytes(content)
    with pytest.raises(RecipeError):
        tasks.read(place)


def test_no_task_folder(tmp_path):
    with pytest.raises(RecipeError, match=r"task\.toml"):
        tasks.read(tmp_path)


def test_a_renamed_folder_is_refused(tmp_path):
    place = written(tmp_path)
    other = place.with_name("h11.source-logic.00000000")
    place.rename(other)
    with pytest.raises(RecipeError, match="the folder's name"):
        tasks.read(other)


def test_ids_fit_gymnasium_and_splits_are_about_80_to_20():
    names = [tasks.task_id(replace(INVERSION, hint="", commands=(f"rm {n}",))) for n in range(2000)]
    assert len(set(names)) == 2000
    share = sum(tasks.split_of(name) == "train" for name in names) / len(names)
    assert 0.75 < share < 0.85


def test_hint_and_parameters_do_not_change_the_id():
    assert tasks.task_id(replace(INVERSION, hint="x", parameters={})) == tasks.task_id(INVERSION)
    assert tasks.task_id(replace(INVERSION, solution=("true",))) != tasks.task_id(INVERSION)


# ── what Harbor reads ───────────────────────────────────────────────────────────────────────


def test_harbor_layout(tmp_path):
    place = written(tmp_path)
    found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert found == {
        "task.toml",
        "instruction.md",
        "environment/Dockerfile",
        "environment/docker-compose.yaml",
        "tests/test.sh",
        "solution/solve.sh",
    }
    document = tomllib.loads((place / "task.toml").read_text())
    assert document["schema_version"] == "1.4"
    assert document["task"]["name"] == f"cligym/{task().id}"
    assert document["environment"]["network_mode"] == "public"
    assert document["verifier"]["timeout_sec"] >= 600
    assert next(iter(document)) == "schema_version"
    for script in ("tests/test.sh", "solution/solve.sh"):
        assert os.access(place / script, os.X_OK)
        subprocess.run(["bash", "-n", str(place / script)], check=True)


def test_dockerfile_holds_the_commands_and_no_line_breaks_in_them(tmp_path):
    inversion = replace(INVERSION, commands=("cat <<'END' > /etc/x\n$HOME \\\nEND", "echo 'ü'"))
    made = task(inversion)
    text = (written(tmp_path, made) / "environment/Dockerfile").read_text()
    assert text.startswith("FROM debian:bookworm-slim\n")
    lines = [line for line in text.splitlines() if line]
    assert {line.split()[0] for line in lines} <= {"FROM", "ENV", "RUN", "WORKDIR", "COPY"}
    assert "cat <<'END' > /etc/x\\n$HOME \\\\\\nEND\\necho 'ü'" in text


def test_paths_keep_every_field(tmp_path):
    read = tasks.read(written(tmp_path))
    assert read.paths == PATHS

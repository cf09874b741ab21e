"""Locks: written and read back, refused when damaged, ignored when they are another recipe's."""

import json
from pathlib import Path

import pytest

from cligym_env.core import Gold, Source, SuiteResult, Usage
from cligym_env.errors import GoldError, RecipeError
from cligym_env.gold import _build, lock, recipe

GOLD = Gold("sample", Source("local", "/somewhere", sha256="0" * 64))
USAGE = Usage(modules={"a": "/a.py"}, files=("/etc/hosts",), variables={"TZ": None})
RUNS = lock.Runs(n_runs=5, n_passed=2, n_skipped=1, seconds=(0.5, 0.25))


def sample(passing: tuple[str, ...] = ("a", "b[\x00 é]")) -> lock.Lock:
    return lock.Lock(recipe.digest(GOLD), passing, backends={"embedded": RUNS}, usage=USAGE, version="1")


def test_there_and_back(tmp_path: Path) -> None:
    file = tmp_path / "sample.toml"
    assert lock.read(file) is None
    lock.write(file, sample())
    assert lock.read(file) == sample()
    assert [path.name for path in tmp_path.iterdir()] == ["sample.lock.json"]


def test_applied_to_its_own_recipe_only() -> None:
    gold = lock.applied(GOLD, sample())
    assert gold.passing == sample().passing
    assert gold.usage == USAGE
    assert gold.content_hash == lock.content_hash(recipe.digest(GOLD), gold.passing)
    other = Gold("sample", GOLD.source, install=("true",))
    assert lock.applied(other, sample()) == other
    assert lock.applied(GOLD, None) == GOLD


@pytest.mark.parametrize(
    ("damage", "key"),
    [
        (lambda table: table.pop("passing"), "passing"),
        (lambda table: table.update(schema=99), "schema"),
        (lambda table: table.update(passing="a"), "passing"),
        (lambda table: table.update(passing=[1]), "passing"),
        (lambda table: table.update(recipe=None), "recipe"),
        (lambda table: table["backends"]["embedded"].pop("seconds"), "seconds"),
    ],
)
def test_damaged(tmp_path: Path, damage, key: str) -> None:
    file = tmp_path / "sample.toml"
    lock.write(file, sample())
    table = json.loads(lock.path(file).read_text())
    damage(table)
    lock.path(file).write_text(json.dumps(table))
    with pytest.raises(RecipeError) as caught:
        lock.read(file)
    assert caught.value.key == key
    assert caught.value.file.endswith("sample.lock.json")


def test_torn(tmp_path: Path) -> None:
    file = tmp_path / "sample.toml"
    lock.write(file, sample())
    lock.path(file).write_text(lock.path(file).read_text()[:100])
    with pytest.raises(RecipeError, match="expected a lock in JSON"):
        lock.read(file)


# ── what several runs say together ──────────────────────────────────────────────────────────


def results(*outcomes: dict[str, str]) -> list[SuiteResult]:
    return [SuiteResult(one, complete=True, exit_code=0) for one in outcomes]


def test_flaky_tests_leave_the_set() -> None:
    passing, flaky = _build._judged(
        GOLD,
        results(
            {"steady": "passed", "shaky": "passed", "slow": "skipped", "now": "skipped"},
            {"steady": "passed", "shaky": "failed", "slow": "skipped", "now": "passed"},
        ),
    )
    assert passing == {"steady"}
    assert flaky == {"shaky", "now"}


def test_a_test_that_is_missing_once_is_no_pass() -> None:
    passing, flaky = _build._judged(GOLD, results({"a": "passed", "b": "passed"}, {"a": "passed"}))
    assert (passing, flaky) == ({"a"}, {"b"})


def test_failing_tests_are_named() -> None:
    with pytest.raises(GoldError, match="fails") as caught:
        _build._judged(GOLD, results({"a": "passed", "b": "failed"}, {"a": "passed", "b": "error"}))
    assert caught.value.tests == ("b",)


def test_a_run_without_an_end_is_an_error() -> None:
    broken = SuiteResult({"a": "passed"}, complete=False, exit_code=None, log="…\nhanging")
    with pytest.raises(GoldError, match=r"ran out of time.*hanging"):
        _build._judged(GOLD, [*results({"a": "passed"}), broken])


def test_nothing_steady_is_an_error() -> None:
    with pytest.raises(GoldError, match="no test"):
        _build._judged(GOLD, results({"a": "passed"}, {"a": "failed"}))


def test_back_ends_must_agree() -> None:
    with pytest.raises(GoldError, match="otherwise on docker than on embedded") as caught:
        _build._merged(GOLD, sample(), "docker", RUNS, ({"a"}, set()))
    assert caught.value.tests == ("b[\x00 é]",)
    both = _build._merged(GOLD, sample(), "docker", RUNS, ({"a"}, {"b[\x00 é]"}))
    assert both.passing == ("a",)
    assert both.flaky == ("b[\x00 é]",)
    assert set(both.backends) == {"docker", "embedded"}


def test_the_only_back_end_may_change_its_mind() -> None:
    again = _build._merged(GOLD, sample(), "embedded", RUNS, ({"a", "c"}, set()))
    assert again.passing == ("a", "c")

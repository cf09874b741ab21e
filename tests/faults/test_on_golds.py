"""Fault families on real golds: what they propose is valid, repeats, breaks a part, and can be repaired."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from random import Random

import pytest

from cligym_env import gold as golds
from cligym_env import plugins
from cligym_env.core import CATEGORIES, Backend, Gold, Image, Inversion, Limits, Sandbox
from cligym_env.errors import ImageError
from cligym_env.tasks import replay

FAMILIES = plugins.names("faults")

# One family of each category that fits a gold whose suite takes a second or two.
REPRESENTATIVES = [
    ("file-system", "mode-bits", "h11"),
    ("infrastructure", "elf-header", "markupsafe"),
    ("infrastructure", "loader-path", "cjson"),
    ("dependencies-runtime", "planted-pth", "h11"),
    ("network-security", "audit-policy", "h11"),
    ("source-logic", "comparison", "h11"),
    ("source-logic", "c-source", "cjson"),
    ("compatibility", "python-variable", "h11"),
    ("concurrency", "stale-lock", "h11"),
    ("other", "default-value", "h11"),
]
N_TRIES = 4


@pytest.fixture(scope="module")
def embedded(machines: Callable[[str], Backend]) -> Backend:
    return machines("embedded")


def image_of(gold: Gold, backend: Backend) -> Image:
    try:
        return golds.image(gold, backend)
    except ImageError as error:
        if "does not answer" in str(error) or "apt failed" in str(error):
            pytest.skip(f"NO NETWORK, {gold.name} cannot be built: {error}")
        raise


@pytest.fixture(scope="module", params=["h11", "markupsafe", "cjson"])
def looked_at(request: pytest.FixtureRequest, embedded: Backend) -> Iterator[tuple[Gold, Sandbox]]:
    gold = golds.load(request.param)
    sandbox = embedded.start(image_of(gold, embedded), Limits())
    yield gold, sandbox
    sandbox.close()


def proposals(family: str, gold: Gold, sandbox: Sandbox, *, seed: int, most: int) -> list[Inversion]:
    proposed = plugins.create("faults", family).propose(gold, sandbox, Random(seed))
    return list(itertools.islice(proposed, most))


@pytest.mark.parametrize("family", FAMILIES)
def test_proposals_repeat_and_are_valid_bash(family: str, looked_at: tuple[Gold, Sandbox]) -> None:
    gold, sandbox = looked_at
    found = proposals(family, gold, sandbox, seed=11, most=3)
    assert found == proposals(family, gold, sandbox, seed=11, most=3)
    for inversion in found:
        assert inversion.commands
        assert inversion.solution
        assert inversion.gold == gold.name
        for command in (*inversion.commands, *inversion.solution):
            assert subprocess.run(["bash", "-n", "-c", command], check=False).returncode == 0, command
        assert "/" not in inversion.hint


def test_looking_around_changes_nothing(embedded: Backend) -> None:
    gold = golds.load("h11")
    sandbox = embedded.start(image_of(gold, embedded), Limits())
    for family in FAMILIES:
        proposals(family, gold, sandbox, seed=2, most=2)
    changed = [path for path in sandbox.freeze().changes() if not path.startswith(("/tmp", "/run"))]
    sandbox.close()
    assert changed == []


@pytest.mark.slow
@pytest.mark.parametrize(("category", "family", "name"), REPRESENTATIVES)
def test_a_break_breaks_a_part_and_its_solution_repairs(
    category: str, family: str, name: str, embedded: Backend
) -> None:
    gold = golds.load(name)
    image = image_of(gold, embedded)
    runner = plugins.create("runners", gold.runner)
    passing = frozenset(gold.passing)
    sandbox = embedded.start(image, Limits())
    tried = proposals(family, gold, sandbox, seed=4, most=N_TRIES)
    sandbox.close()
    seen = []
    for inversion in tried:
        assert inversion.category == category
        sandbox = embedded.start(image, Limits())
        assert replay(inversion.commands, gold, sandbox).failed is None
        broken = passing - runner.run(gold, sandbox, timeout_s=gold.timeout_s).passed
        seen.append(len(broken))
        if broken and broken != passing:
            assert replay(inversion.solution, gold, sandbox).failed is None
            assert runner.run(gold, sandbox, timeout_s=gold.timeout_s).passed >= passing
            sandbox.close()
            return
        sandbox.close()
    pytest.fail(f"none of {len(tried)} inversions broke a part of {name}: {seen}")


def test_every_category_has_its_representative() -> None:
    assert {category for category, _, _ in REPRESENTATIVES} == set(CATEGORIES)

"""Every back end keeps the promises that the package ships as checks."""

from collections.abc import Callable

import pytest

from cligym_env import plugins
from cligym_env.core import Backend, Image
from cligym_env.testing import CHECKS, Bench, Check, Skipped, check_backend, run_check


@pytest.fixture(params=("fake", "embedded", "docker"), scope="session")
def backend(request: pytest.FixtureRequest, machines: Callable[[str], Backend]) -> Backend:
    """Each back end of the package in turn."""
    return machines(request.param)


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check: Check, backend: Backend, base_image: Callable[[Backend], Image]) -> None:
    try:
        run_check(check, Bench(backend, base_image(backend)))
    except Skipped as reason:
        pytest.skip(f"{backend.name} does not promise it: {reason}")


def test_exemptions_are_few_and_name_checks(backend: Backend) -> None:
    declared = getattr(backend, "not_conforming", {})
    assert set(declared) <= {check.name for check in CHECKS}
    assert all(declared.values())
    if backend.name != "fake":
        assert len(declared) <= 5


def test_checks_are_many_and_say_what_they_ask() -> None:
    assert len(CHECKS) >= 40
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.about.endswith(".") for check in CHECKS)


def test_report_tells_passes_failures_and_exemptions() -> None:
    fake = plugins.create("backends", "fake")
    image = fake.find("base")

    def breaks(bench: Bench) -> None:
        """This promise is never kept."""
        raise AssertionError("seen")

    exempt = CHECKS[[check.name for check in CHECKS].index(next(iter(fake.not_conforming)))]
    kept = next(check for check in CHECKS if check.name == "exec_exit_code")
    report = check_backend(fake, image, checks=[kept, exempt, Check("breaks", breaks)])
    assert (report.n_passed, list(report.failures), list(report.skipped)) == (1, ["breaks"], [exempt.name])
    assert not report.passed
    assert "seen" in report.summary()

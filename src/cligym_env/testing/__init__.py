"""What a back end promises, as checks that run over any of them: ours, and third parties'.

Ask from Python::

    report = check_backend(my_backend, image)
    assert report.passed, report.summary()

or from pytest, one test for each check::

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    def test_my_backend(check, my_bench):
        run_check(check, my_bench)

The image needs bash, coreutils and perl-base, which every Debian has. A back end that cannot keep a
promise says so itself, in an attribute ``not_conforming`` (name of the check → why); such a check
raises ``Skipped``. No check asserts a time: a call that should end is waited for, far beyond its
deadline, and fails only when it never does.
"""

from __future__ import annotations

from cligym_env.testing import _execs, _files, _images, _isolation, _lifecycle, _shells, _snapshots, _stress
from cligym_env.testing._bench import Bench, Check, Report, Skipped, check_backend, run_check

__all__ = ["CHECKS", "Bench", "Check", "Report", "Skipped", "check_backend", "run_check"]

CHECKS: tuple[Check, ...] = tuple(
    check
    for module in (_execs, _shells, _stress, _files, _snapshots, _images, _isolation, _lifecycle)
    for check in module.CHECKS
)
"""Every check, in the order in which they run."""

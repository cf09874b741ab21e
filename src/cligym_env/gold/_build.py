"""From a recipe to an image, and from an image to a lock.

An image is made in one order: base, system packages (the only step with a network), source and
wheels put in from outside, pinned requirements, the recipe's own steps, one commit of history,
bytecode. It gets its name only after its suite has passed, so a killed build leaves nothing that
could be taken for a gold.
"""

from __future__ import annotations

import hashlib
import logging
import shlex
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cligym_env import environ, files, plugins
from cligym_env.core import Backend, Gold, Image, Limits, Sandbox, SuiteResult, Usage
from cligym_env.errors import GoldError
from cligym_env.gold import _tar, base, fetch, lock, recipe
from cligym_env.gold._host import Report, host_failures, sha256, silent, tail
from cligym_env.gold.observe import observe

__all__ = ["image", "locked_build", "tag"]

logger = logging.getLogger("cligym_env.gold")

WHEELHOUSE = "/opt/wheelhouse"
_STEP_TIMEOUT_S = 1800.0

_COMMIT = """set -eu
rm -rf .git .hg .svn
git init --quiet
git config core.checkStat minimal
git config core.trustctime false
printf '%s\\n' '__pycache__/' '*.py[cod]' '*.so' '*.egg-info/' '/build/' > .git/info/exclude
rm -rf .git/hooks
git add --all
git -c user.name=upstream -c user.email=upstream@localhost commit --quiet --allow-empty -m 'Import {title}'
rm -rf .git/logs .git/COMMIT_EDITMSG .git/ORIG_HEAD
"""
_SETTLE = f"""set -eu
rm -rf /root/.cache /tmp/* /tmp/.[!.]* /var/tmp/*
settle() {{{{
    chown -hR {{user}}:{{user}} {{workdir}}
    find /etc /home /opt /root /usr /var {{workdir}} -xdev -newermt @{base.EPOCH_S} -not -path '*/.git/*' \\
        -exec touch --no-dereference --date=@{base.EPOCH_S} {{{{}}}} +
}}}}
settle
/opt/venv/bin/python -m compileall -q --invalidation-mode timestamp /opt/venv {{workdir}} \\
    > /dev/null 2>&1 || true
git update-index -q --refresh
settle
"""
_WARM = "/opt/venv/bin/python -m pytest --collect-only -q -p no:cacheprovider -o addopts= {args}"
"""Pytest keeps its own bytecode of test files; collecting once writes it."""


def tag(gold: Gold) -> str:
    """The name of a gold's image in every back end's store."""
    said = "\0".join((recipe.digest(gold), base.image_hash(), _COMMIT, _SETTLE, _WARM))
    return f"cligym/gold/{gold.name}:{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def image(gold: Gold, backend: Backend, known: lock.Lock | None, *, report: Report = silent) -> Image:
    """Give a locked gold's image, making it on first use and checking it by one run of its suite.

    Args:
        gold: with its passing set.
        backend: in whose store.
        known: its lock, for the wheels' digests.
        report: told what goes on.

    Raises:
        GoldError: the gold has no passing set, cannot be made, or does not pass here.
        ImageError: the machine failed: no network, disk full, a missing program.
    """
    found = backend.find(tag(gold))
    if found is not None:
        return found
    if not gold.passing:
        raise GoldError(f"gold {gold.name} has no lock: run `cligym gold build {gold.name}` first")
    with host_failures(), files.locked(_lock_file(gold, backend)):
        found = backend.find(tag(gold))
        if found is not None:
            return found
        made, _ = _make(gold, backend, dict(known.wheels) if known else {}, report)
        missed = set(gold.passing)
        # A second run tells a slow machine from a broken gold.
        for attempt in range(2):
            report("running its suite once" if attempt == 0 else "running its suite again")
            result, _ = _run(gold, backend, made)
            missed = set(gold.passing) - result.passed
            if not missed:
                break
            logger.warning("gold %s: %d tests missed in a check run", gold.name, len(missed))
        if missed:
            raise GoldError(
                f"gold {gold.name} does not pass on {backend.name} as its lock says", sorted(missed)
            )
        backend.tag(made, tag(gold))
        return made


def locked_build(
    gold: Gold,
    recipe_file: Path,
    backend: Backend,
    *,
    n_runs: int,
    fresh: bool,
    again: bool,
    version: str,
    report: Report = silent,
) -> Gold:
    """Build a gold in full and write its lock; see ``cligym_env.gold.build``."""
    with host_failures(), files.locked(_lock_file(gold, backend)):
        known = lock.current(recipe_file, gold)
        made = None if fresh else backend.find(tag(gold))
        pinned = dict(known.wheels) if known else {}
        if made is None:
            made, pinned = _make(gold, backend, pinned, report)
        elif not pinned:
            pinned = _digests(_wheels(gold, {}, report))
        runs, seen = _measured(gold, backend, made, n_runs, report)
        usage = None
        if again or fresh or known is None or known.usage == Usage():
            report("observing what its suite uses")
            usage = _observed(replace(gold, passing=tuple(sorted(seen[0]))), backend, made)
        with files.locked(files.home() / "locks" / f"lock-{gold.name}"):
            # Another back end's build may have written its part meanwhile.
            known = lock.current(recipe_file, gold) or lock.Lock(
                recipe.digest(gold), tuple(sorted(seen[0]))
            )
            merged = _merged(gold, known, backend.name, runs, seen)
            wheels = {**pinned, **known.wheels}
            merged = replace(merged, wheels=wheels, usage=usage or known.usage, version=version)
            lock.write(recipe_file, merged)
        backend.tag(made, tag(gold))
        return lock.applied(gold, merged)


def _measured(
    gold: Gold, backend: Backend, made: Image, n_runs: int, report: Report
) -> tuple[lock.Runs, tuple[set[str], set[str]]]:
    """Run the suite several times; what the runs were like, and the passing and the flaky tests."""
    results, seconds = [], []
    for number in range(1, n_runs + 1):
        report(f"running its suite, {number} of {n_runs}")
        result, took_s = _run(gold, backend, made)
        results.append(result)
        seconds.append(round(took_s, 2))
    passing, flaky = _judged(gold, results)
    n_skipped = sum(outcome == "skipped" for outcome in results[-1].outcomes.values())
    return lock.Runs(n_runs, len(passing), n_skipped, tuple(seconds)), (passing, flaky)


def _lock_file(gold: Gold, backend: Backend) -> Path:
    return files.home() / "locks" / f"gold-{gold.name}-{backend.name}"


def _merged(
    gold: Gold, known: lock.Lock, name: str, runs: lock.Runs, seen: tuple[set[str], set[str]]
) -> lock.Lock:
    """Join what this back end showed to what others showed; they must agree on the passing set."""
    passing, flaky = seen
    unsteady = flaky | set(known.flaky)
    others = {other: seen for other, seen in known.backends.items() if other != name}
    if others:
        apart = (set(known.passing) ^ passing) - unsteady
        if apart:
            raise GoldError(
                f"gold {gold.name} passes otherwise on {name} than on {', '.join(sorted(others))}",
                sorted(apart),
            )
    return replace(
        known,
        passing=tuple(sorted(passing - unsteady)),
        flaky=tuple(sorted(unsteady if others else flaky)),
        backends={**others, name: runs},
    )


def _judged(gold: Gold, results: list[SuiteResult]) -> tuple[set[str], set[str]]:
    """Split the tests of several runs into the passing and the flaky; a failing one is an error."""
    for result in results:
        if not result.complete:
            ended = "ran out of time" if result.exit_code is None else "did not report to its end"
            raise GoldError(f"the suite of {gold.name} {ended}: {tail(result.log)}")
    bad = ("failed", "error")
    seen = set().union(*(result.outcomes for result in results))
    passing = set.intersection(*(set(result.passed) for result in results))
    failing = {name for name in seen if all(result.outcomes.get(name) in bad for result in results)}
    if failing:
        raise GoldError(
            f"the suite of {gold.name} fails; mend the recipe, or leave these tests out by test.args",
            sorted(failing),
        )
    flaky = {
        name
        for name in seen - passing
        if any(result.outcomes.get(name) in ("passed", *bad) for result in results)
    }
    if flaky:
        logger.warning("gold %s: %d flaky tests left out: %s", gold.name, len(flaky), _some(flaky))
    if not passing:
        raise GoldError(f"no test of {gold.name} passed in every run", sorted(flaky))
    return passing, flaky


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:5]) + (" …" if len(listed) > 5 else "")


def _run(gold: Gold, backend: Backend, made: Image) -> tuple[SuiteResult, float]:
    """Run the suite in a fresh sandbox, under the limits that verification has."""
    runner = plugins.create("runners", gold.runner)
    sandbox = backend.start(made, Limits())
    try:
        started_s = time.monotonic()
        result = runner.run(gold, sandbox, timeout_s=gold.timeout_s)
        return result, time.monotonic() - started_s
    finally:
        sandbox.close()


def _observed(gold: Gold, backend: Backend, made: Image) -> Usage:
    sandbox = backend.start(made, Limits())
    try:
        return observe(gold, sandbox)
    finally:
        sandbox.close()


# ── making the image ────────────────────────────────────────────────────────────────────────


def _wheels(gold: Gold, known: dict[str, str], report: Report) -> list[Path]:
    return fetch.wheels((*gold.requirements, *gold.wheelhouse), known=known, report=report)


def _digests(wheels: Iterable[Path]) -> dict[str, str]:
    return {wheel.name: sha256(wheel) for wheel in wheels}


def _make(
    gold: Gold, backend: Backend, known: dict[str, str], report: Report
) -> tuple[Image, dict[str, str]]:
    """Make the image, still without a name; also the digests of its wheels."""
    ground = base.image(backend, report=report)
    wheels = _wheels(gold, known, report)
    archive = fetch.source(gold.source, backend, ground, report=report)
    if gold.system_packages:
        report(f"installing {' '.join(gold.system_packages)}")
        ground = _with_packages(gold, backend, ground)
    sandbox = backend.start(ground, base.BUILD_LIMITS)
    try:
        report("unpacking")
        uid = int(sandbox.exec(["id", "-u", gold.user], timeout_s=60).text.strip() or 0)
        sandbox.put(_tar.of_source(archive, gold.workdir, uid=uid))
        sandbox.put(_tar.of_files(wheels, WHEELHOUSE))
        _install(gold, sandbox, report)
        report("keeping it")
        return sandbox.commit(), _digests(wheels)
    finally:
        sandbox.close()


def _with_packages(gold: Gold, backend: Backend, ground: Image) -> Image:
    """Install the gold's system packages; golds with the same ones share the layer."""
    packages = sorted(set(gold.system_packages))
    key = hashlib.sha256(" ".join([base.image_hash(), *packages]).encode()).hexdigest()[:12]
    name = f"cligym/packages:{key}"
    with files.locked(files.home() / "locks" / f"packages-{key}-{backend.name}"):
        found = backend.find(name)
        if found is not None:
            return found
        sandbox = backend.start(ground, replace(base.BUILD_LIMITS, network=True))
        try:
            install = "apt-get -qq -y -o APT::Sandbox::User=root --no-install-recommends install"
            base.apt(sandbox, f"{install} {shlex.join(packages)} > /dev/null")
            made = sandbox.commit()
        finally:
            sandbox.close()
        backend.tag(made, name)
        return made


def _install(gold: Gold, sandbox: Sandbox, report: Report) -> None:
    """Install requirements, take the recipe's steps, squash history, compile; without a network."""
    variables = {
        **environ.BASE,
        "HOME": "/root",
        "PIP_NO_COMPILE": "1",
        "SOURCE_DATE_EPOCH": str(base.EPOCH_S),
        **gold.environ,
    }
    dates = {"GIT_AUTHOR_DATE": f"{base.EPOCH_S} +0000", "GIT_COMMITTER_DATE": f"{base.EPOCH_S} +0000"}
    paths = {"user": shlex.quote(gold.user), "workdir": shlex.quote(gold.workdir)}

    def step(told: str, command: str, user: str = "root", *, checked: bool = True) -> None:
        report(told)
        result = sandbox.exec(
            command,
            timeout_s=_STEP_TIMEOUT_S,
            user=user,
            cwd=gold.workdir,
            environ={**variables, **dates, "HOME": "/root" if user == "root" else f"/home/{user}"},
        )
        if checked and result.exit_code != 0:
            ended = "ran out of time" if result.timed_out else f"exit code {result.exit_code}"
            said = tail(result.text, n_lines=24, n_chars=2000)
            raise GoldError(f"gold {gold.name}: `{_short(command)}`: {ended}: {said}")

    if gold.requirements:
        step("installing requirements", f"pip install --quiet --no-deps {shlex.join(gold.requirements)}")
    for command in gold.install:
        step(f"taking the step: {_short(command)}", command)
    if gold.requirements:
        step("checking requirements", "pip check")
    title = f"{gold.source.name.rstrip('/').rsplit('/', 1)[-1]} {gold.source.version}".strip()
    step("squashing history", _COMMIT.format(title=title.replace("'", "")))
    step("compiling", _SETTLE.format(**paths))
    if gold.runner == "pytest":
        step("warming", _WARM.format(args=shlex.join(gold.test_args)), gold.user, checked=False)
        step("tidying", "git clean --force -d --quiet")
        step("tidying", _SETTLE.format(**paths))


def _short(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 70 else line[:69] + "…"

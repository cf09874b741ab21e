"""Repositories: gold environments, what their suites touch, and what runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cligym_env.core.machines import Sandbox

__all__ = [
    "Gold",
    "Runner",
    "Source",
    "SuiteResult",
    "Usage",
]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a repository comes from.

    Attributes:
        kind: ``pypi``, ``debian``, ``npm``, ``git`` or ``local``.
        name: the package's name, the git URL or the folder.
        version: the version, or the git commit; empty for ``local``.
        sha256: of the archive; of the folder's content for ``local``; empty for ``git``.
    """

    kind: Literal["pypi", "debian", "npm", "git", "local"]
    name: str
    version: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the passing suite of a gold really touches: observed while it ran, never guessed.

    Attributes:
        modules: imported modules → their file, of those that have one.
        libraries: shared libraries mapped into the test process, absolute paths.
        files: other files opened or looked up with success, absolute paths.
        variables: environment variables read → the value they had, ``None`` when unset.
        programs: programs executed, absolute paths.
        functions: source file below the work folder → qualified name of each function the tests
            called → how many tests called it; Python only, the test files left out.
        lines: source file → the lines of those functions that ran inside tests, as ``3-9,14``.
        written: folders in which the tests create files, temporary ones left out.
        events: audit events of Python that tests raise (``socket.bind`` …) → in how many tests.
        importers: name of a module, or path of a library, → how many of the passing tests lie
            in files that cannot be imported without it.

    Modules and libraries that a bare, empty run of the runner needs too are left out: without
    them no test runs at all.
    """

    modules: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    variables: Mapping[str, str | None] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    functions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    events: Mapping[str, int] = field(default_factory=dict)
    importers: Mapping[str, int] = field(default_factory=dict)
    lines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gold:
    """An environment in which a repository's tests pass, as its recipe and lock describe it.

    Attributes:
        name: its name, ``[a-z0-9-]+``.
        source: the repository.
        language: ``python``, ``c`` … for selection and display.
        licence: of the repository, SPDX.
        system_packages: Debian packages beyond the base image's.
        requirements: pinned Python distributions (``name==version``) installed in the venv.
        wheelhouse: further pinned distributions whose wheels lie offline in the image.
        install: shell commands, run as root in the work folder without a network; the folder is
            given to the user afterwards.
        runner: name of the runner plug-in that gives per-test results.
        test_args: arguments for the runner (paths, deselections), in its own meaning.
        environ: environment of the test run beyond the base's.
        user: who runs the tests, and owns the work folder.
        workdir: the repository inside the sandbox.
        timeout_s: for one run of the suite.
        passing: node ids that passed in every run, sorted.
        content_hash: of recipe and passing set.
        usage: what the suite touches.
    """

    name: str
    source: Source
    language: str = "python"
    licence: str = ""
    system_packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    wheelhouse: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    runner: str = "pytest"
    test_args: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    user: str = "dev"
    workdir: str = "/testbed"
    timeout_s: float = 300.0
    passing: tuple[str, ...] = ()
    content_hash: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What one run of a suite reported, test by test.

    Attributes:
        outcomes: node id → ``passed``, ``failed``, ``skipped`` or ``error``. Only a test whose
            set-up, call and tear-down all passed is ``passed``.
        complete: the report was whole: an end record, no gap, no duplicate, right nonce.
        exit_code: of the runner; ``None`` after the deadline.
        log: the tail of what the run printed, for people and for instructions.
    """

    outcomes: Mapping[str, str]
    complete: bool
    exit_code: int | None
    log: str = ""

    @property
    def passed(self) -> frozenset[str]:
        """Ids that passed; nothing when the report is not whole."""
        if not self.complete:
            return frozenset()
        return frozenset(name for name, outcome in self.outcomes.items() if outcome == "passed")


class Runner(Protocol):
    """Runs a repository's suite in a sandbox and gives per-test results. One file each in ``runners/``."""

    name: str

    def run(
        self, gold: Gold, sandbox: Sandbox, *, timeout_s: float, only: Sequence[str] = ()
    ) -> SuiteResult:
        """Run the suite as ``gold.user``.

        Args:
            gold: the recipe.
            sandbox: where; its work folder is ``gold.workdir``.
            timeout_s: deadline of the run.
            only: node ids to run; all when empty.
        """
        ...

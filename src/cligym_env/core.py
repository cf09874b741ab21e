"""Open this first: the nouns of the library, and the contracts its plug-ins keep.

Data takes one way through them::

    repository ─▶ Gold ─(BreakerEnv + Policy)─▶ Inversion ─(admission)─▶ Task
       ─▶ gym.make("CLIGym/<id>") ─(RepairEnv + Policy)─▶ Trajectory ─▶ Exporter ─▶ training

Nouns are frozen dataclasses, contracts are Protocols; a plug-in needs no base class of ours. This
module imports the standard library only. Units stand in names (``_s`` seconds, ``_bytes``,
``_chars``; counts ``n_``); a place inside a sandbox is a ``str``, on the host a ``Path``.

Source of the method: agentic environment inversion, CLI-Gym, arXiv 2602.10999, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Literal, Protocol

__all__ = [
    "CATEGORIES",
    "Backend",
    "Call",
    "Entry",
    "ExecResult",
    "Exporter",
    "FaultFamily",
    "Gold",
    "Image",
    "Inversion",
    "Limits",
    "Outcome",
    "PathState",
    "Policy",
    "Reward",
    "Runner",
    "Sandbox",
    "Shell",
    "Snapshot",
    "Source",
    "SuiteResult",
    "Task",
    "Trajectory",
    "Turn",
    "Usage",
    "Verdict",
]

CATEGORIES = (
    "file-system",
    "infrastructure",
    "dependencies-runtime",
    "network-security",
    "source-logic",
    "compatibility",
    "concurrency",
    "other",
)
"""The eight categories of arXiv 2602.10999, table 2."""

Reward = Literal["sparse", "fraction"]


# ── machines ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use. Each back end's table says which of these it can enforce.

    Attributes:
        memory_bytes: resident memory of all processes together.
        n_pids: processes and threads at one time.
        n_cpus: processor shares.
        disk_bytes: what the sandbox may add to its image.
        output_bytes: what one call keeps of its output; the rest is read and dropped.
        network: reach beyond the sandbox's own loopback; only gold builds turn it on.
    """

    memory_bytes: int = 1 << 30
    n_pids: int = 256
    n_cpus: float = 1.0
    disk_bytes: int = 2 << 30
    output_bytes: int = 1 << 20
    network: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A file system to start from, in the store of one back end.

    Attributes:
        backend: name of the back end that holds it.
        ref: that back end's own, unique reference to it (a docker image id, a layer chain).
    """

    backend: str
    ref: str


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What one command did.

    Attributes:
        exit_code: its exit status, 128+n after signal n; ``None`` when the deadline ended it.
        output: stdout and stderr in the order written, at most ``Limits.output_bytes``: the
            first half and the last half of what was printed when it was more.
        n_dropped_bytes: how much was left out of ``output``.
        restarted: a shell's command ended the shell, and a new one stands in its place
            with the old one's directory; variables and functions are gone.
    """

    exit_code: int | None
    output: bytes
    n_dropped_bytes: int = 0
    restarted: bool = False

    @property
    def timed_out(self) -> bool:
        """Whether the deadline ended the command."""
        return self.exit_code is None

    @property
    def text(self) -> str:
        """The output as text; what is not UTF-8 becomes U+FFFD."""
        return self.output.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Entry:
    """One path in a file system, links not followed.

    Attributes:
        kind: ``absent`` marks a deletion; ``other`` is a device, socket or FIFO.
        mode: permission bits, ``0o7777`` at most; 0 for links and absences.
        uid, gid: numeric owner.
        size_bytes: of a regular file.
        target: of a symbolic link.
        sha256: of a regular file's content; empty where it was not asked for.
        opaque: a directory that hides everything the image had below it.
    """

    kind: Literal["file", "dir", "link", "absent", "other"]
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size_bytes: int = 0
    target: str = ""
    sha256: str = ""
    opaque: bool = False


class Snapshot(Protocol):
    """The disk of a sandbox in which nothing runs any more. Read from outside, never executed."""

    def changes(self, *, max_paths: int = 20_000) -> Mapping[str, Entry]:
        """What differs from the image the sandbox started from, by absolute path, sorted.

        Digests are left empty. A path touched but equal may be listed.

        Raises:
            OverflowError: more than ``max_paths`` changed paths.
        """
        ...

    def entry(self, path: str) -> Entry:
        """One path's state, changed or not, with its digest; ``absent`` where there is none.

        Symbolic links on the way to the path are NOT followed: below one, all is absent.
        """
        ...

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """A regular file's content, changed or not.

        Raises:
            FileNotFoundError: not a regular file, or below a symbolic link.
            OverflowError: larger than ``max_bytes``.
        """
        ...


class Shell(Protocol):
    """The persistent bash a policy types into: directory, variables, functions, jobs stay."""

    def run(self, command: str, *, timeout_s: float) -> ExecResult:
        """Run one command line or script and wait for its end.

        At the deadline the command is interrupted, then killed, then the shell is replaced;
        the call returns within 5 s of it. Standard input is empty. A background job may go on.

        Raises:
            SandboxLostError: the sandbox is gone.
            ShellLostError: the sandbox lives but starts no shell any more.
        """
        ...

    def close(self) -> None:
        """End the shell; harmless twice."""
        ...


class Sandbox(Protocol):
    """One machine. Every call has a deadline; none raises for what the command inside does."""

    image: Image

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout_s: float,
        user: str = "root",
        cwd: str | None = None,
        environ: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> ExecResult:
        """Run one command in a process of its own.

        Args:
            command: a string goes to ``/bin/bash -c``; a sequence is an argument vector,
                started without a shell.
            timeout_s: the deadline; all that the command started in the foreground dies at it.
            user: name in the sandbox's ``/etc/passwd``, or a numeric ``uid:gid``.
            cwd: directory; ``/`` when left out.
            environ: the COMPLETE environment; a minimal one (PATH, HOME, LANG) when left out.
            stdin: fed to the command, then closed.

        Raises:
            SandboxLostError: the sandbox is gone.
        """
        ...

    def shell(
        self, *, user: str = "root", cwd: str = "/", environ: Mapping[str, str] | None = None
    ) -> Shell:
        """Open a persistent shell; a sandbox can hold several."""
        ...

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """A file's content, links followed inside the sandbox.

        Raises:
            FileNotFoundError: there is no such regular file.
            OverflowError: larger than ``max_bytes``.
        """
        ...

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file as root, making the folders it needs."""
        ...

    def put(self, archive: bytes, *, remove: Sequence[str] = ()) -> None:
        """Remove paths (whole trees, links not followed), then unpack a tar at ``/``.

        Members carry numeric owners, modes, times and links; they replace what stands there,
        and none is written through a symbolic link out of the sandbox. Does not depend on
        programs inside the sandbox.
        """
        ...

    def freeze(self) -> Snapshot:
        """End every process inside, for good, and give the disk. Works after ``rm -rf /``."""
        ...

    def commit(self) -> Image:
        """Keep what changed as one small layer on top of the image. The sandbox is frozen then."""
        ...

    def close(self) -> None:
        """Give everything back; harmless twice. Also runs at interpreter exit."""
        ...


class Backend(Protocol):
    """What starts machines. One file each in ``backends/``."""

    name: str

    def problems(self) -> Sequence[str]:
        """Why it does not work here, each with the way out; empty when it works."""
        ...

    def start(self, image: Image, limits: Limits = ...) -> Sandbox:
        """Start one sandbox.

        Raises:
            BackendUnavailableError: the back end does not work here.
            ImageError: the image is not in the store.
        """
        ...

    def load(self, archive: Path, name: str) -> Image:
        """Take a root file system from a tar into the store, under a name."""
        ...

    def find(self, name: str) -> Image | None:
        """The image of that name, if it is in the store."""
        ...

    def tag(self, image: Image, name: str) -> None:
        """Give an image a name, taking it from another one if need be."""
        ...

    def sweep(self) -> int:
        """Remove what dead owners left; the number of sandboxes removed."""
        ...

    def close(self) -> None:
        """Close every sandbox this object started, and what stands behind them; harmless twice."""
        ...


# ── gold environments ───────────────────────────────────────────────────────────────────────


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


# ── inversion ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Inversion:
    """A replayable list of shell commands that breaks a gold, and its way back.

    Attributes:
        gold: name of the gold.
        family: the fault family it comes from.
        category: one of ``CATEGORIES``.
        commands: typed as root into one shell of a gold sandbox, in order.
        solution: typed as root into one shell of the BROKEN sandbox, without network, in order;
            uses only what is found there.
        hint: one sentence that points at the cause without naming the path or the command.
        parameters: what was drawn for it, for records.
    """

    gold: str
    family: str
    category: str
    commands: tuple[str, ...]
    solution: tuple[str, ...]
    hint: str
    parameters: Mapping[str, str] = field(default_factory=dict)


class FaultFamily(Protocol):
    """One way to break. One file each in ``faults/<category>/``."""

    name: str
    category: str

    def propose(self, gold: Gold, sandbox: Sandbox, rng: Random) -> Iterator[Inversion]:
        """Yield inversions for a gold, the most promising first; nothing where it does not fit.

        Args:
            gold: with the ``usage`` its tests were seen to have.
            sandbox: a running gold sandbox to look around in, never to change.
            rng: the only source of chance; equal seeds propose equal inversions.
        """
        ...


@dataclass(frozen=True, slots=True)
class PathState:
    """One path an inversion touched: how gold has it, and how the broken environment has it."""

    path: str
    gold: Entry
    broken: Entry


@dataclass(frozen=True, slots=True)
class Task:
    """A validated repair problem. It is text: its image is built from it on first use.

    Attributes:
        id: ``<gold>.<family>.<8 hex digits>``; no ``:``, ``/``, and no trailing ``-v<n>``.
        inversion: what broke it, with the solution.
        seed: the breaker's seed.
        fail_to_pass: node ids that pass in gold and fail in the broken environment, sorted.
        n_pass_to_pass: the other passing ids of the gold, all of which guard.
        paths: every path the inversion changed; the only ones a repair may need to touch.
        symptoms: the failure output the instruction quotes.
        split: ``train`` or ``test``.
        gold_hash: ``content_hash`` of the gold it was validated on.
        gates: name of each admission gate → what it measured.
        version: of the package that admitted it.
    """

    id: str
    inversion: Inversion
    seed: int
    fail_to_pass: tuple[str, ...]
    n_pass_to_pass: int
    paths: tuple[PathState, ...]
    symptoms: str
    split: Literal["train", "test"]
    gold_hash: str
    gates: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    @property
    def gold(self) -> str:
        """Name of the gold."""
        return self.inversion.gold

    @property
    def category(self) -> str:
        """One of ``CATEGORIES``."""
        return self.inversion.category

    @property
    def family(self) -> str:
        """The fault family."""
        return self.inversion.family


# ── judging ─────────────────────────────────────────────────────────────────────────────────


class Outcome(StrEnum):
    """The three outcomes; ``error`` is the machine's and is masked, never paid."""

    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one final state.

    Attributes:
        outcome: one of three.
        reason: one line.
        tests: node id → outcome, for the expected tests; empty when it came to no run.
        n_fail_to_pass: how many fail-to-pass tests pass now.
        n_broken: how many pass-to-pass tests do not pass now.
        fraction: repaired share of fail-to-pass minus broken share of pass-to-pass, in [-1, 1].
        flags: suspicious changes that were dropped, as ``<class>: <path>``.
    """

    outcome: Outcome
    reason: str
    tests: Mapping[str, str] = field(default_factory=dict)
    n_fail_to_pass: int = 0
    n_broken: int = 0
    fraction: float = 0.0
    flags: tuple[str, ...] = ()

    @property
    def resolved(self) -> bool:
        """Whether the task is repaired."""
        return self.outcome is Outcome.RESOLVED


# ── acting ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Call:
    """What a policy decided.

    Attributes:
        action: the shell command, or the single word ``submit``.
        thought: reasoning that goes with it; never executed.
        usage: tokens and cost as the policy's server reports them.
    """

    action: str
    thought: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """One action and its observation."""

    call: Call
    observation: str
    exit_code: int | None = None


class Policy(Protocol):
    """Chooses actions; stateless, so that one object serves many rollouts. One file each in ``policies/``.

    ``create(**options)`` of a plug-in gives it. A policy that needs the task's solution takes it
    from ``task``, which every rollout passes.
    """

    name: str

    def act(
        self, instruction: str, history: Sequence[Turn], *, seed: int, task: Task | None = None
    ) -> Call:
        """Choose the next action.

        Args:
            instruction: what the environment told at reset.
            history: the turns so far, oldest first.
            seed: of the episode.
            task: the task at hand, for the policies that may know it (oracle, replay).
        """
        ...


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The record of one rollout.

    Attributes:
        task: the task's id.
        policy: the policy's name.
        seed: of the episode.
        attempt: counts from 0 for one task and seed.
        instruction: what the policy was told.
        turns: what it did and saw.
        reward: as the environment gave it in the end.
        verdict: the judgement; ``None`` only when the episode broke off before one.
        exit_status: ``submitted``, ``truncated`` or ``error``.
        backend: name of the back end.
        error: what broke, for ``error``.
        version: of the package.
    """

    task: str
    policy: str
    seed: int
    attempt: int
    instruction: str
    turns: tuple[Turn, ...]
    reward: float
    verdict: Verdict | None
    exit_status: Literal["submitted", "truncated", "error"]
    backend: str = ""
    error: str = ""
    version: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Exporter(Protocol):
    """Writes trajectories in somebody's format. One file each in ``exporters/``."""

    name: str

    def export(self, trajectories: Sequence[Trajectory], out: Path) -> Path:
        """Write them; the file or folder written."""
        ...

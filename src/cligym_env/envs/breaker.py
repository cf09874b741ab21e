"""The env in which a gold is broken: type commands, tell the way back, submit, be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cligym_env import admission, environ, tasks
from cligym_env import gold as golds
from cligym_env.catalog import AUTO, shared_backend
from cligym_env.core import (
    CATEGORIES,
    Backend,
    ExecResult,
    Gold,
    Inversion,
    Limits,
    Outcome,
    Reward,
    Sandbox,
    Shell,
    Task,
    Verdict,
)
from cligym_env.envs.base import Opening, ShellEnv, check_options
from cligym_env.errors import RejectedError, UsageError

__all__ = ["BreakerEnv"]

_MAX_RECORDED = 60

_INSTRUCTION = """\
The test suite of {name} in {workdir} passes on this machine. Break the environment so that some of \
its tests fail and others still pass, the way real environments break. Run the tests with:

    {command}

You have a root shell without network. Every command that ends with exit code 0 is recorded as part \
of the break. Tell the way back, one command at a time, with `solution <command>`: these are typed as \
root into the broken environment. Tell one sentence that points at the cause without naming file or \
command with `hint <sentence>`. Then send the single word submit: what was recorded is replayed from \
the start on a fresh machine, and judged there.

Only what is on the disk counts. Tests, their configuration, git and temporary files must stay as they \
are, and no copy of what you break may be left. The gates, in order: {gates}."""


class BreakerEnv(ShellEnv):
    """One gold sandbox to be broken; the reward is admission as a task.

    A shell command that ends with 0 is recorded. ``solution <command>`` and ``hint <sentence>``
    are recorded and not run. ``submit`` ends the episode: what was recorded is replayed from a
    fresh gold and goes through the gates of admission; the live sandbox itself is not judged.

    Args:
        gold: name of a gold, the path of a recipe, or a gold.
        backend: name of a back end, ``auto``, or a back end, which stays the caller's to close.
        family: what the task's id says about where the inversion comes from.
        category: one of ``core.CATEGORIES``.
        parameters: kept in the task's record.
        reward: ``sparse``: 1 when admitted, else 0; ``fraction``: the share of gates passed.
        max_turns: actions before the episode is truncated, and judged.
        turn_timeout_s: deadline of one action.
        max_observation_chars: longest observation.
        render_mode: ``ansi``, ``human`` or ``None``.

    Raises:
        UnknownNameError: no such gold.
        UsageError: an argument that makes no sense.
    """

    def __init__(
        self,
        gold: str | Gold,
        *,
        backend: str | Backend = AUTO,
        family: str = "free",
        category: str = "other",
        parameters: Mapping[str, str] | None = None,
        reward: Reward = "sparse",
        max_turns: int = 50,
        turn_timeout_s: float = 120.0,
        max_observation_chars: int = 16_384,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(
            max_turns=max_turns,
            turn_timeout_s=turn_timeout_s,
            max_observation_chars=max_observation_chars,
            reward=reward,
            render_mode=render_mode,
        )
        if category not in CATEGORIES:
            raise UsageError(f"category is one of {', '.join(CATEGORIES)}, not {category!r}")
        self.gold = golds.load(gold) if isinstance(gold, str) else gold
        self.family, self.category, self.parameters = family, category, dict(parameters or {})
        self._where = backend
        self._recorder: _Recorder | None = None
        self._seed = 0
        self.task: Task | None = None
        self.rejection: RejectedError | None = None

    @property
    def backend(self) -> Backend:
        """Where its sandboxes start; the process's shared back end when it was named by a word."""
        return shared_backend(self._where) if isinstance(self._where, str) else self._where

    @property
    def backend_name(self) -> str:
        """The back end's name."""
        return self.backend.name

    # ── the hooks ───────────────────────────────────────────────────────────────────────────

    def _open(self, options: Mapping[str, Any]) -> Opening:
        check_options(options, ())
        self.task = self.rejection = None
        backend = self.backend
        sandbox = backend.start(golds.image(self.gold, backend), Limits())
        try:
            variables = environ.of(self.gold, sandbox, user="root")
            shell = sandbox.shell(user="root", cwd=self.gold.workdir, environ=variables)
        except BaseException:
            sandbox.close()
            raise
        self._recorder = _Recorder(shell)
        return Opening(sandbox, self._recorder, _told(self.gold), {"gold": self.gold.name})

    def _judge(self, sandbox: Sandbox) -> Verdict:
        passed: list[str] = []
        try:
            inversion = self._inversion()
            self.task = admission.admit(
                inversion, self.gold, self.backend, seed=self._seed, passed=passed.append
            )
        except RejectedError as rejection:
            self.rejection = rejection
            share = len(passed) / len(admission.GATES)
            return Verdict(Outcome.UNRESOLVED, str(rejection), fraction=share)
        return Verdict(Outcome.RESOLVED, f"admitted as {self.task.id}", fraction=1.0)

    # ── gymnasium ───────────────────────────────────────────────────────────────────────────

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start an episode in a fresh gold; see ``ShellEnv.reset``.

        Args:
            seed: also goes into the record of the task.
            options: there are none.
        """
        if seed is not None:
            self._seed = seed
        return super().reset(seed=seed, options=options)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take one action; see ``ShellEnv.step``.

        Returns:
            As there; the last info also has ``task``: the ``Task``, or ``None`` when refused.
        """
        observation, reward, terminated, truncated, info = super().step(action)
        if terminated or truncated:
            info["task"] = self.task
        return observation, reward, terminated, truncated, info

    # ── the inside ──────────────────────────────────────────────────────────────────────────

    def _inversion(self) -> Inversion:
        recorder = self._recorder
        assert recorder is not None
        if not recorder.commands:
            raise RejectedError("replay", "no command was recorded")
        if max(len(recorder.commands), len(recorder.solution)) > _MAX_RECORDED:
            raise RejectedError("size", f"more than {_MAX_RECORDED} commands")
        if not recorder.solution:
            raise RejectedError("solution", "no solution was told")
        return Inversion(
            gold=self.gold.name,
            family=self.family,
            category=self.category,
            commands=tuple(recorder.commands),
            solution=tuple(recorder.solution),
            hint=recorder.hint,
            parameters=self.parameters,
        )


class _Recorder:
    """A shell that keeps what was typed, and keeps some of it from being run."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self.commands: list[str] = []
        self.solution: list[str] = []
        self.hint = ""

    def run(self, command: str, *, timeout_s: float) -> ExecResult:
        """Record, or run and record; see ``core.Shell``."""
        word, _, rest = command.lstrip().partition(" ")
        if word == "solution" and rest.strip():
            self.solution.append(rest)
            return ExecResult(0, f"[solution command {len(self.solution)} recorded]\n".encode())
        if word == "hint" and rest.strip():
            self.hint = rest.strip()
            return ExecResult(0, b"[hint recorded]\n")
        result = self._shell.run(command, timeout_s=timeout_s)
        if result.exit_code == 0 and not result.restarted and command.strip():
            self.commands.append(command)
        return result

    def close(self) -> None:
        """End the shell; harmless twice."""
        self._shell.close()


def _told(gold: Gold) -> str:
    return _INSTRUCTION.format(
        name=gold.name,
        workdir=gold.workdir,
        command=tasks.test_command(gold),
        gates=", ".join(admission.GATES),
    )

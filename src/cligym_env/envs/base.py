"""The base of every environment here: a shell to type into, and a judgement in the end.

A subclass fills exactly two hooks: ``_open`` (in ALL subclasses) starts a sandbox and says what is
to be done, ``_judge`` (in ALL subclasses) looks at the sandbox when the episode is over. A subclass
that wants to see or answer actions itself wraps the shell it opens.
"""

from __future__ import annotations

import math
import os
import weakref
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import gymnasium

from cligym_env.core import ExecResult, Outcome, Reward, Sandbox, Shell, Verdict
from cligym_env.envs import _observation
from cligym_env.envs.spaces import TextSpace
from cligym_env.errors import ActionError, EpisodeError, SandboxError, ShellLostError, UsageError

__all__ = [
    "MAX_ACTION_CHARS",
    "NO_EXIT_CODE",
    "SUBMIT",
    "Opening",
    "ShellEnv",
    "check_action",
    "check_options",
]

SUBMIT = "submit"
"""The action that ends an episode; blanks around it do not matter."""

MAX_ACTION_CHARS = 65_536
NO_EXIT_CODE = -1
"""Stands in ``info["exit_code"]`` where a command has none: vector environments want numbers."""

_DEADLINE = "stopped at the deadline of {:g} s"
_NO_SHELL = "there is no shell any more, and none can be started; submit is all that is left"

_State = Literal["fresh", "running", "over", "closed"]


@dataclass(frozen=True, slots=True)
class Opening:
    """What ``_open`` gives.

    Attributes:
        sandbox: the machine; closed by the base class.
        shell: what the actions are typed into.
        instruction: what the policy is told; the first observation.
        info: goes into the info of ``reset``; plain values that are equal for equal seeds.
    """

    sandbox: Sandbox
    shell: Shell
    instruction: str
    info: Mapping[str, Any] = field(default_factory=dict)


class ShellEnv(gymnasium.Env[str, str]):
    """One shell in one sandbox: text in, text out, judged at the end.

    The episode terminates with the action ``submit``, and is truncated after ``max_turns`` other
    actions; either way it is judged first, so that the last ``info`` holds a ``Verdict``.

    Args:
        max_turns: actions before the episode is truncated; ``submit`` is not counted.
        turn_timeout_s: deadline of one action; beyond it the command is stopped and the
            observation says so.
        max_observation_chars: longest observation; the middle of a longer output is left out.
        reward: ``sparse``: 1 when resolved, else 0; ``fraction``: ``Verdict.fraction``. Every
            turn before the last earns 0.
        render_mode: ``ansi`` (text), ``human`` (prints) or ``None``.

    Raises:
        UsageError: an argument that makes no sense.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "human"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        *,
        max_turns: int = 50,
        turn_timeout_s: float = 60.0,
        max_observation_chars: int = 16_384,
        reward: Reward = "sparse",
        render_mode: str | None = None,
    ) -> None:
        _check(max_turns, turn_timeout_s, max_observation_chars, reward, render_mode)
        self.max_turns = max_turns
        self.turn_timeout_s = turn_timeout_s
        self.reward: Reward = reward
        self.render_mode = render_mode
        self.action_space = TextSpace(MAX_ACTION_CHARS)
        self.observation_space = TextSpace(max_observation_chars)
        self._max_chars = max_observation_chars
        self._state: _State = "fresh"
        self._turn = 0
        self._frame = ""
        self._opening: Opening | None = None
        self._release: weakref.finalize[Any, Any] | None = None

    # ── the two hooks ───────────────────────────────────────────────────────────────────────

    @abstractmethod
    def _open(self, options: Mapping[str, Any]) -> Opening:
        """Start a sandbox and say what is to be done. Set in ALL subclasses.

        Args:
            options: as given to ``reset``; refuse unknown keys with ``check_options``.

        Raises:
            SandboxError: the machine failed; leave no sandbox behind.
        """

    @abstractmethod
    def _judge(self, sandbox: Sandbox) -> Verdict:
        """Judge the final state; may freeze the sandbox. Set in ALL subclasses.

        Never raises for what the policy did.

        Raises:
            SandboxError: the machine failed.
        """

    # ── gymnasium ───────────────────────────────────────────────────────────────────────────

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start an episode in a fresh sandbox.

        Args:
            seed: of ``np_random``; the sandbox itself knows no chance.
            options: of this episode alone; see the subclass.

        Returns:
            The instruction, and an info.

        Raises:
            UsageError: unknown options.
            SandboxError: the machine failed; ``reset`` may be tried again.
        """
        super().reset(seed=seed)
        self._give_back()
        self._state = "fresh"
        self._turn = 0
        opening = self._open(options or {})
        self._opening = opening
        self._release = weakref.finalize(self, _close, opening, os.getpid())
        self._state = "running"
        observation = self._fit(opening.instruction)
        self._show(observation)
        return observation, {**opening.info, "turn": 0}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Type one command into the shell, or end the episode with ``submit``.

        Returns:
            Observation, reward, terminated, truncated, and an info with ``turn``, ``exit_code``
            (-1 where there is none), ``timed_out``, ``n_dropped_bytes`` and ``restarted``; the
            last one of an episode also with ``verdict`` and ``resolved``.

        Raises:
            EpisodeError: before ``reset``, after the end, or after ``close``.
            ActionError: not a text, longer than ``MAX_ACTION_CHARS``, or with a NUL in it; the
                episode goes on as if it had not been tried.
            SandboxError: the machine failed; the sandbox is given back, ``reset`` starts anew.
        """
        opening = self._running()
        check_action(action)
        try:
            if action.strip() == SUBMIT:
                return self._submit(opening)
            return self._type(opening, action)
        except SandboxError:
            self._finish()
            raise

    def render(self) -> str | None:
        """Give the last turn as text in ``ansi`` mode; ``human`` mode prints by itself.

        Raises:
            EpisodeError: before the first ``reset``.
        """
        if self._state == "fresh" and not self._frame:
            raise EpisodeError("render before reset: call reset() first")
        return self._frame if self.render_mode == "ansi" else None

    def close(self) -> None:
        """Give the sandbox back; harmless twice."""
        self._give_back()
        self._state = "closed"

    # ── the inside ──────────────────────────────────────────────────────────────────────────

    def _running(self) -> Opening:
        if self._state != "running" or self._opening is None:
            why = {
                "fresh": "step before reset",
                "over": "step after the end of the episode",
                "closed": "step after close",
            }.get(self._state, "no episode")
            raise EpisodeError(f"{why}: call reset() first")
        return self._opening

    def _submit(self, opening: Opening) -> tuple[str, float, bool, bool, dict[str, Any]]:
        info = {**_info(ExecResult(0, b"")), "turn": self._turn}
        verdict = self._end(opening, info)
        observation = self._fit(f"[submitted: {verdict.reason}; {verdict.outcome}]")
        self._show(observation, SUBMIT)
        return observation, self._earned(verdict), True, False, info

    def _type(self, opening: Opening, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        try:
            result = opening.shell.run(action, timeout_s=self.turn_timeout_s)
            trouble = "" if result.exit_code is not None else _DEADLINE.format(self.turn_timeout_s)
        except ShellLostError:
            # The sandbox lives, so the policy took bash away. That is no way out of a judgement.
            result, trouble = ExecResult(None, b""), _NO_SHELL
        self._turn += 1
        observation = _observation.observe(
            result,
            trouble,
            turn=self._turn,
            max_turns=self.max_turns,
            max_chars=self._max_chars,
        )
        info = {**_info(result), "timed_out": result.timed_out and trouble != _NO_SHELL, "turn": self._turn}
        truncated = self._turn >= self.max_turns
        reward = self._earned(self._end(opening, info)) if truncated else 0.0
        self._show(observation, action)
        return observation, reward, False, truncated, info

    def _end(self, opening: Opening, info: dict[str, Any]) -> Verdict:
        verdict = self._judge(opening.sandbox)
        info["verdict"] = verdict
        info["resolved"] = verdict.resolved
        self._finish()
        return verdict

    def _earned(self, verdict: Verdict) -> float:
        if verdict.outcome is Outcome.ERROR:
            return 0.0
        if self.reward == "sparse":
            return 1.0 if verdict.resolved else 0.0
        return min(1.0, max(-1.0, float(verdict.fraction)))

    def _fit(self, text: str) -> str:
        text = _observation.readable(text)
        if len(text) <= self._max_chars:
            return text
        return text[: self._max_chars - 2] + "\n…"

    def _show(self, observation: str, action: str | None = None) -> None:
        self._frame = observation if action is None else f"$ {action}\n{observation}"
        if self.render_mode == "human":
            print(self._frame, flush=True)  # noqa: T201 - that is what the mode is

    def _finish(self) -> None:
        self._give_back()
        self._state = "over"

    def _give_back(self) -> None:
        release, self._release, self._opening = self._release, None, None
        if release is not None:
            release()


def check_options(options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Refuse options of ``reset`` that nobody reads.

    Raises:
        UsageError: names the unknown and the known ones.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"unknown option {', '.join(unknown)}; known: {', '.join(known) or 'none'}")


def check_action(action: object) -> None:
    """Refuse what cannot be typed.

    Raises:
        ActionError: says what is wrong with it.
    """
    if not isinstance(action, str):
        raise ActionError(f"an action is a str, not {type(action).__name__}")
    if len(action) > MAX_ACTION_CHARS:
        raise ActionError(f"an action has at most {MAX_ACTION_CHARS} characters, not {len(action)}")
    if "\0" in action:
        raise ActionError("an action cannot hold a NUL: no shell can be told it")
    try:
        action.encode()
    except UnicodeEncodeError as error:
        raise ActionError(f"an action is text that UTF-8 can hold: {error.reason}") from error


def _info(result: ExecResult) -> dict[str, Any]:
    return {
        "exit_code": NO_EXIT_CODE if result.exit_code is None else result.exit_code,
        "timed_out": result.timed_out,
        "n_dropped_bytes": result.n_dropped_bytes,
        "restarted": result.restarted,
    }


def _close(opening: Opening, owner: int) -> None:
    """Give shell and sandbox back; a machine that is gone already is no reason to complain."""
    if os.getpid() != owner:
        return  # a forked copy of the environment: the sandbox is still the parent's
    for part in (opening.shell, opening.sandbox):
        try:
            part.close()
        except (SandboxError, OSError):
            continue


def _check(
    max_turns: int,
    turn_timeout_s: float,
    max_observation_chars: int,
    reward: str,
    render_mode: str | None,
) -> None:
    if not isinstance(max_turns, int) or isinstance(max_turns, bool) or max_turns < 1:
        raise UsageError(f"max_turns is a whole number from 1, not {max_turns!r}")
    if not 0 < turn_timeout_s < math.inf:
        raise UsageError(f"turn_timeout_s is a number of seconds above 0, not {turn_timeout_s!r}")
    if max_observation_chars < _observation.MIN_CHARS:
        raise UsageError(
            f"max_observation_chars is at least {_observation.MIN_CHARS}, not {max_observation_chars!r}"
        )
    if reward not in get_args(Reward):
        raise UsageError(f"reward is one of {', '.join(get_args(Reward))}, not {reward!r}")
    if render_mode not in (None, "ansi", "human"):
        raise UsageError(f"render_mode is ansi, human or None, not {render_mode!r}")

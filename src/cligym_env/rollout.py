"""The only episode loop: it serves breaking, collecting and evaluating."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import gymnasium

from cligym_env.core import Call, Outcome, Policy, Trajectory, Turn, Verdict
from cligym_env.errors import ActionError, PolicyError, SandboxError

__all__ = ["rollout"]

_MAX_REFUSED = 50
_OF_INFO = ("gold", "category", "guidance", "hint")
_OF_ENV = ("reward", "max_turns")


@dataclass(slots=True)
class _Record:
    """What is known of an episode so far; whole at any time, however it breaks off."""

    instruction: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    reward: float = 0.0
    verdict: Verdict | None = None
    exit_status: str = "error"
    error: str = ""


def rollout(
    env: gymnasium.Env[str, str],
    policy: Policy,
    *,
    seed: int = 0,
    attempt: int = 0,
    options: dict[str, Any] | None = None,
    watch: Callable[[Turn], None] = lambda turn: None,
) -> Trajectory:
    """Let a policy act in an environment until the episode is over.

    A failing machine, and a policy whose server fails on the way, end it with the exit status
    ``error``: a bad rollout is data. An action that cannot be typed becomes a turn whose
    observation says so.

    Args:
        env: a repair or a breaker environment, wrapped or not; stays open.
        policy: chooses the actions.
        seed: the episode's seed is ``seed + attempt``.
        attempt: counts from 0.
        options: for ``reset``.
        watch: is told every turn.

    Raises:
        UsageError: the policy does not fit the environment, or the options do not.
        PolicyError: the policy's server fails before the first turn: there is nothing to record.
    """
    record = _Record()
    try:
        record.instruction, record.info = env.reset(seed=seed + attempt, options=options)
        _play(env, policy, record, seed + attempt, watch)
    except (SandboxError, PolicyError) as error:
        if isinstance(error, PolicyError) and not record.turns:
            raise
        record.exit_status, record.error = "error", f"{type(error).__name__}: {error}"
    base: Any = env.unwrapped
    task = getattr(base, "task", None)
    return Trajectory(
        task=str(record.info.get("task") or getattr(task, "id", "")),
        policy=policy.name,
        seed=seed,
        attempt=attempt,
        instruction=record.instruction,
        turns=tuple(record.turns),
        reward=record.reward,
        verdict=record.verdict,
        exit_status=record.exit_status,  # type: ignore[arg-type]
        backend=_backend_name(base),
        error=record.error,
        version=_version(),
        metadata=_metadata(record.info, base),
    )


def _play(
    env: gymnasium.Env[str, str],
    policy: Policy,
    record: _Record,
    seed: int,
    watch: Callable[[Turn], None],
) -> None:
    task = getattr(env.unwrapped, "task", None)
    most = getattr(env.unwrapped, "max_turns", _MAX_REFUSED)
    n_refused = 0
    while True:
        call = policy.act(record.instruction, tuple(record.turns), seed=seed, task=task)
        # What is never typed is never counted by the environment, so it is counted here.
        forced = n_refused >= most
        if forced:
            call = Call("submit")
        try:
            observation, reward, terminated, truncated, info = env.step(call.action)
        except ActionError as error:
            n_refused += 1
            _keep(record, watch, Turn(_typeable(call), f"[not typed: {error}]"))
            continue
        exit_code = None if info["exit_code"] < 0 else info["exit_code"]
        _keep(record, watch, Turn(call, observation, exit_code))
        if terminated or truncated:
            record.reward, record.verdict = float(reward), info.get("verdict")
            record.exit_status = "submitted" if terminated and not forced else "truncated"
            if record.verdict is not None and record.verdict.outcome is Outcome.ERROR:
                record.exit_status, record.error = "error", record.verdict.reason
            return


def _keep(record: _Record, watch: Callable[[Turn], None], turn: Turn) -> None:
    record.turns.append(turn)
    watch(turn)


def _typeable(call: Call) -> Call:
    """A record is text that any reader can hold, whatever the policy gave."""
    text = call.action if isinstance(call.action, str) else repr(call.action)
    text = text[:1_000].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return Call(text, call.thought, call.usage)


def _metadata(info: Mapping[str, Any], base: Any) -> dict[str, Any]:
    told = {name: info[name] for name in _OF_INFO if name in info}
    return told | {name: getattr(base, name) for name in _OF_ENV if hasattr(base, name)}


def _backend_name(base: Any) -> str:
    try:
        return str(getattr(base, "backend_name", ""))
    except SandboxError:
        return ""


@cache
def _version() -> str:
    return importlib.metadata.version("cligym-env")

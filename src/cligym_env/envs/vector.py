"""Many environments at once, each in a thread: what ``gymnasium.make_vec`` gives without a mode.

The work of a turn is done by a sandbox, in other processes, so threads lose nothing to the
interpreter's lock, share one back end and its warm pool, and need neither pickling nor forking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from cligym_env.core import Outcome, Verdict
from cligym_env.envs._workers import Workers
from cligym_env.envs.base import check_action
from cligym_env.errors import EpisodeError, SandboxError, UsageError

__all__ = ["ThreadVectorEnv", "breaker", "repair"]

_Texts = tuple[str, ...]
_Array = npt.NDArray[Any]
_Flags = npt.NDArray[np.bool_]
_Make = Callable[[], gymnasium.Env[str, str]]
_Result = tuple[str, float, bool, bool, dict[str, Any], dict[str, Any] | None]

_CLOSE_WAIT_S = 10.0
_SETTINGS = ("autoreset_mode", "n_workers", "mask_errors")


class ThreadVectorEnv(VectorEnv[_Texts, Iterable[str], _Array]):
    """Environments with text spaces that step at the same time, each in a thread of its own.

    Observations are tuples of ``str``, as ``SyncVectorEnv`` gives them.

    Args:
        env_fns: each makes one environment.
        autoreset_mode: ``NextStep``, ``SameStep`` or ``Disabled``, as in Gymnasium.
        n_workers: threads; one for each environment when left out.
        mask_errors: an environment whose machine fails is truncated with reward 0 and a verdict
            whose outcome is ``error``, to be masked in training; else the error is raised after
            all others have finished their turn.

    Raises:
        UsageError: no environment, or spaces that differ.
    """

    def __init__(
        self,
        env_fns: Sequence[_Make],
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        n_workers: int | None = None,
        mask_errors: bool = False,
    ) -> None:
        if not env_fns:
            raise UsageError("a vector environment needs at least one environment")
        if n_workers is not None and n_workers < 1:
            raise UsageError(f"n_workers is at least 1, not {n_workers}")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.envs = [make() for make in env_fns]
        first = self.envs[0]
        if any(
            (env.observation_space, env.action_space) != (first.observation_space, first.action_space)
            for env in self.envs
        ):
            raise UsageError("the environments of a vector have equal spaces")
        self.num_envs = len(self.envs)
        self.metadata = {**first.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = first.render_mode
        self.single_observation_space = first.observation_space
        self.single_action_space = first.action_space
        self.observation_space = batch_space(first.observation_space, self.num_envs)
        self.action_space = batch_space(first.action_space, self.num_envs)
        self._mask_errors = mask_errors
        self._workers = Workers(n_workers or self.num_envs, "cligym-vector")
        self._observations = [""] * self.num_envs
        self._over = np.zeros(self.num_envs, dtype=np.bool_)

    # ── gymnasium ───────────────────────────────────────────────────────────────────────────

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[_Texts, dict[str, Any]]:
        """Reset all environments, or those that ``options["reset_mask"]`` marks.

        Args:
            seed: of the first environment, the others follow; or one for each.
            options: for each environment.

        Raises:
            EpisodeError: after ``close``.
            UsageError: a number of seeds, or a mask, that does not fit.
            SandboxError: a machine failed; all others are reset.
        """
        self._check_open()
        seeds = self._seeds(seed)
        options = dict(options or {})
        mask = self._mask(options.pop("reset_mask", None))
        chosen = [place for place in range(self.num_envs) if mask[place]]

        def reset_one(place: int) -> dict[str, Any]:
            observation, info = self.envs[place].reset(seed=seeds[place], options=options or None)
            self._observations[place] = observation
            self._over[place] = False
            return info

        found = self._workers.run([lambda place=place: reset_one(place) for place in chosen])  # type: ignore[misc]
        infos: dict[str, Any] = {}
        for place, info in zip(chosen, found, strict=True):
            infos = self._add_info(infos, info, place)
        return tuple(self._observations), infos

    def step(self, actions: Iterable[str]) -> tuple[_Texts, _Array, _Array, _Array, dict[str, Any]]:
        """Take one turn in each environment.

        Args:
            actions: one for each; in the mode ``NextStep`` that of an environment whose episode
                was over is passed over, for it is reset.

        Raises:
            EpisodeError: before ``reset``, after ``close``, or, in the mode ``Disabled``, after an
                episode's end.
            ActionError: an action that cannot be typed; no environment has taken a turn then.
            SandboxError: a machine failed, unless ``mask_errors``; all others took their turn.
        """
        self._check_open()
        wanted = self._actions(actions)
        if self.autoreset_mode is AutoresetMode.DISABLED and self._over.any():
            places = ", ".join(str(place) for place in np.flatnonzero(self._over))
            raise EpisodeError(f"the episodes of {places} are over: reset them with a reset_mask first")
        results: list[_Result] = self._workers.run(
            [lambda place=place: self._turn(place, wanted[place]) for place in range(self.num_envs)]  # type: ignore[misc]
        )
        rewards = np.array([result[1] for result in results], dtype=np.float64)
        terminations = np.array([result[2] for result in results], dtype=np.bool_)
        truncations = np.array([result[3] for result in results], dtype=np.bool_)
        infos: dict[str, Any] = {}
        for place, (observation, _, _, _, info, final) in enumerate(results):
            self._observations[place] = observation
            if final is not None:
                infos = self._add_info(infos, final, place)
            infos = self._add_info(infos, info, place)
        return tuple(self._observations), rewards, terminations, truncations, infos

    def render(self) -> tuple[Any, ...]:
        """Give what each environment renders."""
        return tuple(env.render() for env in self.envs)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of each environment, or give an attribute of each."""
        found = (env.get_wrapper_attr(name) for env in self.envs)
        return tuple(value(*args, **kwargs) if callable(value) else value for value in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Give an attribute of each environment."""
        return tuple(env.get_wrapper_attr(name) for env in self.envs)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of each environment: one value for all, or a list of values.

        Raises:
            UsageError: a list that is too long or too short.
        """
        each = values if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise UsageError(f"{self.num_envs} environments, {len(each)} values")
        for env, value in zip(self.envs, each, strict=True):
            env.set_wrapper_attr(name, value)

    def close_extras(self, **kwargs: Any) -> None:
        """Give every sandbox back, also those a thread is still working with."""
        for env in self.envs:
            env.close()
        # A reset that was interrupted may have opened a sandbox since.
        self._workers.wait(_CLOSE_WAIT_S)
        for env in self.envs:
            env.close()
        self._workers.stop()

    def __del__(self) -> None:
        if hasattr(self, "_workers"):
            self.close()

    # ── the inside ──────────────────────────────────────────────────────────────────────────

    def _turn(self, place: int, action: str) -> _Result:
        env = self.envs[place]
        try:
            if self.autoreset_mode is AutoresetMode.NEXT_STEP and self._over[place]:
                observation, info = env.reset()
                self._over[place] = False
                return observation, 0.0, False, False, info, None
            observation, reward, terminated, truncated, info = env.step(action)
            reward = float(reward)
        except SandboxError as error:
            if not self._mask_errors:
                self._over[place] = True
                raise
            observation, reward, terminated, truncated, info = _masked(error)
        self._over[place] = terminated or truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._over[place]:
            final = {"final_obs": observation, "final_info": info}
            observation, info = env.reset()
            self._over[place] = False
            return observation, reward, terminated, truncated, info, final
        return observation, reward, terminated, truncated, info, None

    def _check_open(self) -> None:
        if self.closed:
            raise EpisodeError("the vector environment is closed")

    def _actions(self, actions: Iterable[str]) -> list[str]:
        if isinstance(actions, str):
            raise UsageError(f"{self.num_envs} environments take {self.num_envs} actions, not one str")
        wanted = list(actions)
        if len(wanted) != self.num_envs:
            raise UsageError(f"{self.num_envs} environments, {len(wanted)} actions")
        for action in wanted:
            check_action(action)
        return wanted

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + place for place in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise UsageError(f"{self.num_envs} environments, {len(seed)} seeds")
        return list(seed)

    def _mask(self, mask: Any) -> _Flags:
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise UsageError(f"reset_mask is an array of {self.num_envs} bool")
        if not mask.any():
            raise UsageError("reset_mask marks no environment")
        return mask


def _masked(error: SandboxError) -> tuple[str, float, bool, bool, dict[str, Any]]:
    verdict = Verdict(Outcome.ERROR, str(error))
    info = {"verdict": verdict, "resolved": False}
    return f"[the machine failed: {error}]", 0.0, False, True, info


def repair(*, num_envs: int, **kwargs: Any) -> ThreadVectorEnv:
    """Make a vector of ``RepairEnv``; ``gymnasium.make_vec("CLIGym/<task id>", num_envs=8)`` calls it.

    Args:
        num_envs: how many.
        kwargs: ``autoreset_mode``, ``n_workers`` and ``mask_errors`` of ``ThreadVectorEnv``; all
            others for each ``RepairEnv``.
    """
    return _vector("cligym_env.envs.repair:RepairEnv", num_envs, kwargs)


def breaker(*, num_envs: int, **kwargs: Any) -> ThreadVectorEnv:
    """Make a vector of ``BreakerEnv``; ``gymnasium.make_vec("CLIGym/break.<gold>", num_envs=8)`` calls it.

    Args:
        num_envs: how many.
        kwargs: ``autoreset_mode``, ``n_workers`` and ``mask_errors`` of ``ThreadVectorEnv``; all
            others for each ``BreakerEnv``.
    """
    return _vector("cligym_env.envs.breaker:BreakerEnv", num_envs, kwargs)


def _vector(entry_point: str, num_envs: int, kwargs: dict[str, Any]) -> ThreadVectorEnv:
    settings = {name: kwargs.pop(name) for name in _SETTINGS if name in kwargs}
    kind: Callable[..., Any] = load_env_creator(entry_point)
    return ThreadVectorEnv([lambda: kind(**kwargs)] * num_envs, **settings)

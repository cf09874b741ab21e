"""The environment a policy repairs: a task's broken sandbox, judged by the verifier."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import Any

from cligym_env import catalog, environ, tasks
from cligym_env import gold as golds
from cligym_env.core import Backend, Gold, Image, Limits, Reward, Sandbox, Task, Verdict
from cligym_env.envs.base import Opening, ShellEnv, check_options
from cligym_env.errors import ImageError, UsageError
from cligym_env.verify import verify

__all__ = ["RepairEnv"]

_OPTIONS = ("guidance", "hint")

_images: weakref.WeakKeyDictionary[Any, dict[str, Image]] = weakref.WeakKeyDictionary()
_images_lock = threading.Lock()


class RepairEnv(ShellEnv):
    """Repair one task: ``gymnasium.make("CLIGym/<task id>")``.

    The first reset of a task makes its image, and that of its gold, when they are missing.
    ``reset(options=…)`` takes ``guidance`` and ``hint`` for one episode.

    Args:
        task: a task's id, the path of its folder, or the task itself.
        backend: name of a back end, ``auto``, or one of the caller's own; ``gymnasium.make`` takes names
            only, for it copies what it is given.
        reward: ``sparse`` or ``fraction``; see ``ShellEnv``.
        guidance: how much the instruction tells, 0 to 2.
        hint: whether it holds the hint.
        max_turns: actions before the episode is truncated.
        turn_timeout_s: deadline of one action.
        max_observation_chars: longest observation.
        limits: of the sandbox.
        render_mode: ``ansi``, ``human`` or ``None``.

    Raises:
        UnknownNameError: no such task; carries the nearest ids.
        RecipeError: the task's folder, or its gold's recipe, is malformed.
        UsageError: an argument that makes no sense.
    """

    def __init__(
        self,
        task: str | Task,
        *,
        backend: str | Backend = catalog.AUTO,
        reward: Reward = "sparse",
        guidance: int = 1,
        hint: bool = False,
        max_turns: int = 50,
        turn_timeout_s: float = 60.0,
        max_observation_chars: int = 16_384,
        limits: Limits | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(
            max_turns=max_turns,
            turn_timeout_s=turn_timeout_s,
            max_observation_chars=max_observation_chars,
            reward=reward,
            render_mode=render_mode,
        )
        self.task = task if isinstance(task, Task) else catalog.task(task)
        self._gold = golds.load(self.task.gold)
        self._where = backend
        self._limits = limits or Limits()
        self._defaults = {"guidance": guidance, "hint": hint}
        self._instruction(self._defaults)

    @property
    def gold(self) -> Gold:
        """The gold the task was made from."""
        return self._gold

    @property
    def backend(self) -> Backend:
        """Where its sandboxes start; the process's shared back end when it was named by a word."""
        return catalog.shared_backend(self._where) if isinstance(self._where, str) else self._where

    @property
    def backend_name(self) -> str:
        """The back end's name."""
        return self.backend.name

    def _instruction(self, options: Mapping[str, Any]) -> str:
        if not isinstance(options["hint"], bool):
            raise UsageError(f"hint is True or False, not {options['hint']!r}")
        return tasks.instruction(self.task, self._gold, guidance=options["guidance"], hint=options["hint"])

    def _open(self, options: Mapping[str, Any]) -> Opening:
        check_options(options, _OPTIONS)
        wish = {**self._defaults, **options}
        instruction = self._instruction(wish)
        sandbox = self._start()
        try:
            shell = sandbox.shell(
                user="root",
                cwd=self._gold.workdir,
                environ=environ.of(self._gold, sandbox, user="root"),
            )
        except BaseException:
            sandbox.close()
            raise
        info = {"task": self.task.id, "gold": self.task.gold, "category": self.task.category, **wish}
        return Opening(sandbox, shell, instruction, info)

    def _start(self) -> Sandbox:
        backend = self.backend
        image = _image(self.task, self._gold, backend)
        try:
            return backend.start(image, self._limits)
        except ImageError:
            # It was there a moment ago: something cleaned up. It is text, so it is made again, once.
            return backend.start(_image(self.task, self._gold, backend, fresh=True), self._limits)

    def _judge(self, sandbox: Sandbox) -> Verdict:
        return verify(self.task, self._gold, sandbox.freeze(), self.backend)


def _image(task: Task, gold: Gold, backend: Backend, *, fresh: bool = False) -> Image:
    """Look a task's image up once for each process and back end, not once for each reset."""
    with _images_lock:
        known = _images.setdefault(backend, {})
    if fresh or task.id not in known:
        known[task.id] = tasks.image(task, gold, backend)
    return known[task.id]

"""Gymnasium environments in which terminal agents break and repair real repositories.

::

    import cligym_env, gymnasium

    env = gymnasium.make("CLIGym/" + cligym_env.list_tasks()[0])
    observation, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step("python -m pytest -q")

Importing registers the ids of all tasks with Gymnasium, and nothing else happens: what is named
here is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cligym_env.registration import register

if TYPE_CHECKING:
    from cligym_env.catalog import default_backend, list_tasks, task
    from cligym_env.envs.breaker import BreakerEnv
    from cligym_env.envs.repair import RepairEnv
    from cligym_env.envs.vector import ThreadVectorEnv

__all__ = [
    "BreakerEnv",
    "RepairEnv",
    "ThreadVectorEnv",
    "default_backend",
    "list_tasks",
    "register",
    "task",
]

_HOMES = {
    "BreakerEnv": "cligym_env.envs.breaker",
    "RepairEnv": "cligym_env.envs.repair",
    "ThreadVectorEnv": "cligym_env.envs.vector",
    "default_backend": "cligym_env.catalog",
    "list_tasks": "cligym_env.catalog",
    "task": "cligym_env.catalog",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()

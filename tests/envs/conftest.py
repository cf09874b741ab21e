"""A repair task in memory, in place of the real catalog, gold and verifier."""

from __future__ import annotations

import env_samples
import pytest

from cligym_env.envs.repair import RepairEnv


@pytest.fixture
def fake():
    """A fake back end in whose sandboxes the toy task is broken."""
    return env_samples.backend()


@pytest.fixture
def toy(monkeypatch, fake):
    """Make repair environments of the toy task; they differ from real ones below the environment only."""
    where = "cligym_env.envs.repair"
    monkeypatch.setattr(f"{where}.golds.load", lambda name: env_samples.GOLD)
    monkeypatch.setattr(f"{where}.golds.image", lambda gold, backend: backend.find("base"))
    monkeypatch.setattr(f"{where}.tasks.image", lambda task, gold, backend: backend.find("base"))
    monkeypatch.setattr(f"{where}.verify", env_samples.verify)

    def make(**settings):
        return RepairEnv(env_samples.TASK, backend=settings.pop("backend", fake), **settings)

    return make

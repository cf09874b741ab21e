"""What ships, read by Harbor's own code; that package needs Python 3.12, so most runs skip this."""

from __future__ import annotations

from pathlib import Path

import pytest

task_module = pytest.importorskip("harbor.models.task.task")

SHIPPED = Path(__file__).parents[2] / "envs" / "tasks"


@pytest.mark.parametrize("folder", sorted(SHIPPED.glob("*.*.*")), ids=lambda folder: folder.name)
def test_harbor_reads(folder):
    task = task_module.Task(folder)
    assert task.name == f"cligym/{folder.name}"
    assert task.config.schema_version == "1.4"

"""The tour in docs/environments.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "environments.md"


@pytest.mark.slow
def test_the_tour(real_backend, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIGYM_BACKEND", real_backend.name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) >= 4
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)

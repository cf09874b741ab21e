"""The metadata of an installed distribution is damaged, so that what asks for it gets wrong answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled
from cligym_env.faults._wheels import TOOLS, installed

__all__ = ["create"]

_HINT = "A distribution is installed and its code works, but what it says about itself is wrong."
_TESTED = re.compile(r"importlib.metadata|version_option|--version|entry_points")
_ASKS = re.compile(r"importlib[._]metadata|pkg_resources")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    if not _ASKS.search(look.own_text + look.test_text) or not _TESTED.search(look.test_text):
        return
    for _, found in shuffled(((d.name, d) for d in installed(look)), rng):
        if found.name in TOOLS or not (found.editable or found.modules):
            continue
        for file in found.files:
            text = (
                look.text(file)
                if file.endswith((".dist-info/METADATA", ".dist-info/entry_points.txt"))
                else ""
            )
            if file.endswith("METADATA") and f"\nVersion: {found.version}\n" in text:
                line = text.split("\n").index(f"Version: {found.version}") + 1
                yield Draft(
                    [f"sed -i {q(f'{line}s/Version:/Versoin:/')} {q(file)}"],
                    [f"sed -i {q(f'{line}s/Versoin:/Version:/')} {q(file)}"],
                    _HINT,
                    {"file": file, "distribution": found.name},
                )
            elif file.endswith("entry_points.txt") and re.search(r"^\[[a-z_.]+\]$", text, re.M):
                number, group = next((n, t) for n, t in enumerate(text.split("\n"), 1) if t.startswith("["))
                broken = group[:-1] + "s]" if not group.endswith("s]") else group[:-2] + "]"
                yield Draft(
                    [f"sed -i '{number}c\\{broken}' {q(file)}"],
                    [f"sed -i '{number}c\\{group}' {q(file)}"],
                    _HINT,
                    {"file": file, "distribution": found.name},
                )


def create() -> FaultFamily:
    """Give the family."""
    return Family("dist-metadata", "dependencies-runtime", _drafts)

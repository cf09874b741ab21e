"""Modules that can be shadowed: which ones, and with what."""

from __future__ import annotations

from random import Random

from cligym_env.faults._common import SITE, STDLIB, Look, shuffled

__all__ = ["shadowable", "stub"]

_STUBS = (
    '"""Scratch module, to be removed."""',
    '"""Placeholder until the port is done."""\n\n__version__ = "0.0.1"',
    '"""Local helpers."""\n\n\ndef main():\n    raise SystemExit(0)',
)


def shadowable(look: Look, rng: Random) -> list[str]:
    """Give top-level modules outside the repository that some, but not all, test files import.

    Those that are needed by the fewest tests come first, so that much goes on working.
    """
    found = {
        name
        for name, file in look.usage.modules.items()
        if "." not in name
        and not name.startswith("_")
        and file.startswith((STDLIB, SITE))
        and file.endswith(".py")
        and (look.partly(name) or look.lazily(name))
    }
    return sorted(shuffled(found, rng), key=lambda name: not 0 < look.usage.importers.get(name, 0) <= 120)


def stub(rng: Random) -> str:
    """Give the text of a module that has nothing of what its importers look for."""
    return rng.choice(_STUBS)

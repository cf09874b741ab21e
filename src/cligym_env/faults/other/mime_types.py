"""The system's table of file types tells programs wrong things."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "What kind of file a name stands for is written down somewhere, and wrongly."
_FILE = "/etc/mime.types"
_WRONG = "application/x-download"


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    if _FILE not in look.usage.files or "mimetypes" not in look.own_text:
        return
    lines = look.text(_FILE).split("\n")
    for ending in shuffled(("css", "gif", "html", "js", "json", "png", "svg", "txt", "xml"), rng):
        found = [n for n, line in enumerate(lines, 1) if ending in line.split()[1:] and line.isascii()]
        if len(found) != 1 or f".{ending}" not in look.test_text:
            continue
        kind = lines[found[0] - 1].split()[0]
        if kind not in look.test_text:
            continue
        number, slash = found[0], kind.replace("/", "\\/")
        wrong = _WRONG.replace("/", "\\/")
        yield Draft(
            [f"sed -i {q(f'{number}s/^{slash}/{wrong}/')} {_FILE}"],
            [f"sed -i {q(f'{number}s/^{wrong}/{slash}/')} {_FILE}"],
            _HINT,
            {"ending": ending, "kind": kind},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("mime-types", "other", _drafts)

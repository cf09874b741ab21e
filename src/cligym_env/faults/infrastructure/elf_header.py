"""Header bytes of a shared library that the tests load are wrong (arXiv 2602.10999, figure 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = (
    "A shared library is there, but the loader does not take it for one of this machine; "
    "compare its header with a healthy one's."
)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the ELF header: its place, and values that no loader accepts here."""

    name: str
    offset: int
    broken: tuple[int, ...]


_FIELDS = (
    _Field("magic", 0, (0x00, 0x7E, 0xFF)),
    _Field("magic", 2, (0x4D, 0x6C)),
    _Field("class", 4, (1, 0)),
    _Field("data encoding", 5, (2, 0)),
    _Field("version", 6, (0, 2)),
    _Field("type", 16, (1, 4)),
    _Field("machine", 18, (0x03, 0x28, 0xB7, 0xF3)),
    _Field("version", 20, (0, 3)),
    _Field("program header size", 54, (0x20, 0x00)),
)


def _octal(value: int) -> str:
    return f"\\{value:03o}"


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    for path in shuffled({node.real for node in look.nodes(look.extensions).values()}, rng):
        header = look.data(path)[:64]
        if header[:4] != b"\x7fELF" or len(header) < 64:
            continue
        chosen = rng.choice(_FIELDS)
        old = header[chosen.offset]
        new = rng.choice([value for value in chosen.broken if value != old])
        write = f"dd of={q(path)} bs=1 seek={chosen.offset} count=1 conv=notrunc status=none"
        yield Draft(
            [f"printf '{_octal(new)}' | {write}"],
            [f"printf '{_octal(old)}' | {write}"],
            _HINT,
            {
                "library": path,
                "field": chosen.name,
                "offset": str(chosen.offset),
                "old": f"{old:#04x}",
                "new": f"{new:#04x}",
            },
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("elf-header", "infrastructure", _drafts)

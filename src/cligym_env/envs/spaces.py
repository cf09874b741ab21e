"""A text space for terminals: any Unicode, and samples that do no harm when they are executed.

Gymnasium's ``Text`` has a fixed alphabet, so that terminal output is outside it, and its samples
are noise. Here membership is a matter of length alone, and a sample is a harmless command.

The space also brings what ``AsyncVectorEnv`` needs: with its default ``shared_memory=True`` that
class decodes text once, at its construction, and hands that first text out for ever. What it reads
from this space is a live view instead, which decodes when it is copied or looked at.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from gymnasium.spaces import Text
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

__all__ = ["TextSpace"]

_WORDS = ("alpha", "bravo", "delta", "echo", "kilo", "lima", "oscar", "papa", "tango", "zulu")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz ")
_N_WORDS = 4
_BYTES_PER_CHAR = 4  # UTF-32: a place for every character, whatever is written beside it
_LENGTH_BYTES = 4


class TextSpace(Text):
    """Every text of at most ``max_length`` characters that UTF-8 can hold.

    Args:
        max_length: in characters.
        min_length: in characters.
        seed: of ``sample``.
    """

    def __init__(
        self, max_length: int, *, min_length: int = 0, seed: int | np.random.Generator | None = None
    ) -> None:
        super().__init__(max_length, min_length=min_length, charset=_LETTERS, seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Give a harmless command in printable ASCII; cut or filled up to the space's lengths.

        Args:
            mask: has no meaning here.
            probability: has no meaning here.

        Raises:
            ValueError: a mask or a probability is given.
        """
        if mask is not None or probability is not None:
            raise ValueError("a TextSpace has no alphabet to mask")
        words = self.np_random.choice(_WORDS, size=int(self.np_random.integers(0, _N_WORDS + 1)))
        text = " ".join(("echo", *words)) if len(words) else "true"
        if len(text) > self.max_length:
            text = ":"[: self.max_length]
        return text.ljust(self.min_length)

    def contains(self, x: Any) -> bool:
        """Whether it is a text, neither too long nor too short, that UTF-8 can hold."""
        if not isinstance(x, str) or not self.min_length <= len(x) <= self.max_length:
            return False
        try:
            x.encode()
        except UnicodeEncodeError:
            return False
        return True

    @property
    def is_np_flattenable(self) -> bool:
        """No: there is no alphabet to number."""
        return False

    def __eq__(self, other: object, /) -> bool:
        return (
            isinstance(other, TextSpace)
            and self.min_length == other.min_length
            and self.max_length == other.max_length
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TextSpace({self.min_length}, {self.max_length})"


class _Texts(Sequence[str]):
    """The texts of all environments of a vector, as they stand in shared memory now."""

    def __init__(self, memory: Any, size: int, n: int) -> None:
        self._memory, self._size, self._n = memory, size, n

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return tuple(self)[index]
        if not -self._n <= index < self._n:
            raise IndexError(index)
        place = memoryview(self._memory).cast("B")[index % self._n * self._size :]
        length = int.from_bytes(place[:_LENGTH_BYTES], "little")
        return bytes(place[_LENGTH_BYTES : _LENGTH_BYTES + length]).decode("utf-32-le")

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(self._n))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: object) -> tuple[str, ...]:
        return tuple(self)


def _size_bytes(space: TextSpace) -> int:
    return _LENGTH_BYTES + _BYTES_PER_CHAR * space.max_length


@create_shared_memory.register(TextSpace)
def _create(space: TextSpace, n: int = 1, ctx: Any = None) -> Any:
    return ctx.RawArray(ctypes.c_uint8, n * _size_bytes(space))


@read_from_shared_memory.register(TextSpace)
def _read(space: TextSpace, shared_memory: Any, n: int = 1) -> Any:
    return _Texts(shared_memory, _size_bytes(space), n)


@write_to_shared_memory.register(TextSpace)
def _write(space: TextSpace, index: int, value: str, shared_memory: Any) -> None:
    data = value.encode("utf-32-le")
    size = _size_bytes(space)
    if len(data) > size - _LENGTH_BYTES:
        raise ValueError(f"a text of {len(value)} characters does not fit {space}")
    start = index * size
    # A worker is the only writer of its place, and is waited for before anybody reads.
    view = memoryview(shared_memory).cast("B")
    view[start : start + _LENGTH_BYTES] = len(data).to_bytes(_LENGTH_BYTES, "little")
    view[start + _LENGTH_BYTES : start + _LENGTH_BYTES + len(data)] = data

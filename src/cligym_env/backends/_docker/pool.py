"""Sandboxes kept ready: made in the background, so that a start only hands one out.

An image that is asked for a second time with the same limits is kept warm from then on; the image that
was not asked for longest goes when there are too many. The pool hides how long a start takes, not how
many the engine can make in a second.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cligym_env.core import Image, Limits
from cligym_env.errors import CligymError

__all__ = ["Key", "Pool"]

Key = tuple[Image, Limits]
T = TypeVar("T")

_MAX_KEYS = 4
_ASKED_OFTEN = 2
_GRACE_S = 0.05  # making one keeps engine and processors busy: whoever just got one goes first


@dataclass(slots=True)
class _Shelf(Generic[T]):
    n_wanted: int = 0
    n_asked: int = 0
    n_coming: int = 0
    ready: deque[T] = field(default_factory=deque)


class Pool(Generic[T]):
    """Keeps a few things ready for each key.

    Args:
        make: makes one; called in a background thread.
        drop: disposes of one; returns soon.
        fits: whether one that waited can still be used.
        size: how many are kept for each image; 0 for none.
    """

    def __init__(
        self, make: Callable[[Key], T], drop: Callable[[T], None], fits: Callable[[T], bool], size: int
    ) -> None:
        self._make = make
        self._drop = drop
        self._fits = fits
        self._size = size
        self._shelves: OrderedDict[Key, _Shelf[T]] = OrderedDict()
        self._changed = threading.Condition()
        self._working = False
        self._closed = False

    def take(self, key: Key) -> T | None:
        """Take one that is ready, if any, and see that another one comes."""
        while True:
            with self._changed:
                shelf = self._shelf(key)
                shelf.n_asked += 1
                if shelf.n_asked >= _ASKED_OFTEN:
                    shelf.n_wanted = max(shelf.n_wanted, self._size)
                found = shelf.ready.popleft() if shelf.ready else None
            self._fill(_GRACE_S)
            if found is None or self._fits(found):
                return found
            self._drop(found)

    def prepare(self, key: Key, n: int, timeout_s: float) -> int:
        """Have some made, and wait for them.

        Args:
            key: image and limits.
            n: how many.
            timeout_s: how long to wait.

        Returns:
            How many are ready.
        """
        with self._changed:
            shelf = self._shelf(key)
            shelf.n_wanted = max(shelf.n_wanted, n)
        self._fill()
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or len(shelf.ready) >= shelf.n_wanted or not shelf.n_wanted, timeout_s
            )
            return len(shelf.ready)

    def close(self) -> None:
        """Dispose of all; what is being made is disposed of when it is done. Waits for that."""
        with self._changed:
            self._closed = True
            old = [one for shelf in self._shelves.values() for one in shelf.ready]
            self._shelves.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._working, timeout=300)
        for one in old:
            self._drop(one)

    def _shelf(self, key: Key) -> _Shelf[T]:
        """The shelf of a key, now the most recent one."""
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = _Shelf()
        self._shelves.move_to_end(key)
        return shelf

    def _fill(self, after_s: float = 0.0) -> None:
        with self._changed:
            if self._closed or self._working or self._next() is None:
                return
            self._working = True
        try:
            threading.Thread(target=self._work, args=(after_s,), name="cligym-pool", daemon=True).start()
        except RuntimeError:  # no new threads while the interpreter shuts down
            self._working = False

    def _next(self) -> Key | None:
        """The key that lacks one; the most recent first."""
        for key, shelf in reversed(self._shelves.items()):
            if len(shelf.ready) + shelf.n_coming < shelf.n_wanted:
                return key
        return None

    def _work(self, after_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, after_s)
        while True:
            with self._changed:
                surplus = self._evict()
                key = None if self._closed else self._next()
                if key is None:
                    self._working = False
                    self._changed.notify_all()
                else:
                    self._shelves[key].n_coming += 1
            for one in surplus:
                self._drop(one)
            if key is None:
                return
            self._add(key)

    def _add(self, key: Key) -> None:
        made: T | None = None
        with contextlib.suppress(CligymError):  # whoever asks next makes its own, and is told why
            made = self._make(key)
        with self._changed:
            shelf = self._shelves.get(key)
            if shelf is not None:
                shelf.n_coming -= 1
                if made is None:
                    shelf.n_wanted = shelf.n_asked = 0
                elif not self._closed:
                    shelf.ready.append(made)
                    made = None
            self._changed.notify_all()
        if made is not None:
            self._drop(made)

    def _evict(self) -> list[T]:
        """Forget the keys that were not asked for longest."""
        surplus: list[T] = []
        hot = [key for key, shelf in self._shelves.items() if shelf.n_wanted]
        for key in hot[: max(0, len(hot) - _MAX_KEYS)]:
            surplus += self._shelves.pop(key).ready
        return surplus

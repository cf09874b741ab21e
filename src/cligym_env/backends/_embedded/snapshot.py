"""The disk of a frozen sandbox, as the library sees it: see ``core.Snapshot``."""

from __future__ import annotations

from cligym_env.backends._embedded import wire
from cligym_env.backends._embedded.client import Worker, Zygote
from cligym_env.core import Entry

__all__ = ["EmbeddedSnapshot"]


class EmbeddedSnapshot:
    """Reads through a worker that has the disk mounted for itself, read-only.

    Args:
        zygote: forks the worker.
        folder: of the sandbox, inside the store.
        lower: layer folders of its image, the top one first.
    """

    def __init__(self, zygote: Zygote, folder: str, lower: list[str]) -> None:
        self._worker = Worker(zygote)
        self._worker.call("open", f"{folder}/upper", lower, f"{folder}/root")

    def changes(self, *, max_paths: int = 20_000) -> dict[str, Entry]:
        """What differs from the image; see ``core.Snapshot.changes``."""
        return {path: Entry(*row) for path, row in self._worker.call("changes", max_paths)}

    def entry(self, path: str) -> Entry:
        """One path's state; see ``core.Snapshot.entry``."""
        return Entry(*self._worker.call("entry", path))

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """A regular file's content; see ``core.Snapshot.read``."""
        descriptor = self._worker.call("file", path)
        return wire.read_capped(descriptor, path, max_bytes)

    def close(self) -> None:
        """Let the worker go; harmless twice."""
        self._worker.close()

"""Where images lie: layers, names that point to them, and the folders of live sandboxes.

::

    <home>/embedded/layers/<id>/fs      the files a layer adds to its parent, overlay style
                         /<id>/parent   id of the layer below, or nothing
                         /<id>/owner    name of the zygote that made it
                    images/<digest>     JSON: a name, and the id of its top layer
                    sandboxes/<owner>/<id>/{upper,work,root,image}

An image's ``ref`` is the id of its top layer. A layer appears under its id in one rename, when it
is whole; names are written last. What no name leads to goes with the process that made it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from pathlib import Path

from cligym_env import files
from cligym_env.backends._embedded.client import Worker, Zygote
from cligym_env.core import Image
from cligym_env.errors import ImageError

__all__ = ["NAME", "Store"]

NAME = "embedded"
_N_LAYERS = 100  # the mount takes one page of text


class Store:
    """The store of one home.

    Args:
        root: its folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("layers", "images", "sandboxes"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self._lower: dict[str, list[str]] = {}
        self._worker: tuple[Zygote, Worker] | None = None
        self._lock = threading.Lock()

    # ── images ──────────────────────────────────────────────────────────────────────────────

    def lower(self, image: Image) -> list[str]:
        """Folders of an image's layers inside the store, the top one first.

        Raises:
            ImageError: it is another back end's, or not whole here.
        """
        if image.backend != NAME:
            raise ImageError(f"an image of the back end {image.backend!r}, not of {NAME!r}")
        known = self._lower.get(image.ref)
        if known is not None and (self.root / known[0]).is_dir():
            return known
        found: list[str] = []
        layer = image.ref
        while layer:
            parent = self.root / "layers" / layer / "parent"
            if not layer.isalnum() or not parent.is_file():
                raise ImageError(f"image {image.ref!r} is not in the store: no layer {layer!r}")
            found.append(f"layers/{layer}/fs")
            layer = parent.read_text()
            if len(found) > _N_LAYERS:
                raise ImageError(f"image {image.ref!r} has more than {_N_LAYERS} layers")
        if not found:
            raise ImageError("an image without a reference")
        self._lower[image.ref] = found
        return found

    def _name_file(self, name: str) -> Path:
        return self.root / "images" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def find(self, name: str) -> Image | None:
        """The image of a name, if it is here and whole."""
        try:
            row = json.loads(self._name_file(name).read_text())
            image = Image(NAME, str(row["ref"]))
            self.lower(image)
        except (OSError, ValueError, KeyError, TypeError, ImageError):
            return None
        return image

    def tag(self, image: Image, name: str) -> None:
        """Give an image a name."""
        self.lower(image)
        files.write_atomic(self._name_file(name), json.dumps({"name": name, "ref": image.ref}).encode())

    # ── the disk, through a worker ──────────────────────────────────────────────────────────

    def worker(self, zygote: Zygote) -> Worker:
        """The worker for short work, made when it is first needed."""
        with self._lock:
            if self._worker is None or self._worker[0] is not zygote:
                self._worker = (zygote, Worker(zygote))
            return self._worker[1]

    def forget_worker(self) -> None:
        """Let the worker go."""
        with self._lock:
            known, self._worker = self._worker, None
        if known is not None:
            known[1].close()

    def probe(self, zygote: Zygote) -> Image:
        """An image with nothing in it."""
        layer = secrets.token_hex(8)
        self.worker(zygote).call("empty", f"layers/.{zygote.owner}-{layer}", f"layers/{layer}")
        return Image(NAME, layer)

    def keep(self, zygote: Zygote, upper: str, parent: Image) -> Image:
        """Make a folder of changes a layer on top of an image."""
        layer = secrets.token_hex(8)
        temporary, final = f"layers/.{zygote.owner}-{layer}", f"layers/{layer}"
        self.worker(zygote).call("keep", upper, temporary, final, parent.ref)
        return Image(NAME, layer)

    def unpack(self, zygote: Zygote, archive: Path) -> Image:
        """Make a layer without a parent of a tar.

        Raises:
            ImageError: it is missing or no tar of a root file system.
        """
        layer = secrets.token_hex(8)
        temporary, final = f"layers/.{zygote.owner}-{layer}", f"layers/{layer}"
        worker = Worker(zygote)  # of its own, for it takes a while
        try:
            with open(archive, "rb") as stream:
                worker.call("unpack", temporary, final, descriptors=(stream.fileno(),))
        except OSError as error:
            raise ImageError(f"{archive} cannot be taken into the store: {error}") from error
        finally:
            worker.close()
        return Image(NAME, layer)

    def remove(self, zygote: Zygote, folder: str) -> None:
        """Remove a folder and all in it."""
        self.worker(zygote).call("remove", folder)

    def sweep(self, zygote: Zygote) -> int:
        """Remove what dead owners left; the number of sandboxes."""
        n_removed: int = self.worker(zygote).call("sweep")
        return n_removed

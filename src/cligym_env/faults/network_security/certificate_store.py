"""The store of trusted certificates is damaged, empty, or closed to those who need it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look

__all__ = ["create"]

_HINT = "Nothing is trusted any more, because what to trust is not read."
_FOLDER = "/etc/ssl/certs"
_BUNDLE = f"{_FOLDER}/ca-certificates.crt"


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    if _BUNDLE not in look.usage.files or look.node(_BUNDLE).kind != "file":
        return
    kept = rng.randrange(100, 4000)
    folder = look.node(_FOLDER)
    drafts = [
        # The bundle is made from single certificates, which are all there.
        Draft([f": > {_BUNDLE}"], ["update-ca-certificates --fresh"], _HINT, {"kind": "emptied bundle"}),
        Draft(
            [f"truncate -s {kept} {_BUNDLE}"],
            ["update-ca-certificates --fresh"],
            _HINT,
            {"kind": "bundle cut off", "size_bytes": str(kept)},
        ),
        Draft([f"chmod 600 {_BUNDLE}"], [f"chmod 644 {_BUNDLE}"], _HINT, {"kind": "bundle for root only"}),
        Draft(
            [f"chmod 700 {_FOLDER}"], [f"chmod {folder.mode:o} {_FOLDER}"], _HINT, {"kind": "closed folder"}
        ),
    ]
    rng.shuffle(drafts)
    yield from drafts


def create() -> FaultFamily:
    """Give the family."""
    return Family("certificate-store", "network-security", _drafts)

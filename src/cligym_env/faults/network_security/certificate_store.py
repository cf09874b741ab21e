"""The store of trusted certificates is damaged, empty, or not where programs look for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q

__all__ = ["create"]

_HINT = "Nothing is trusted any more, because what to trust is not read."
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_LINKS = ("/usr/lib/ssl/certs", "/usr/lib/ssl/cert.pem")


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    used = [
        path
        for path in look.usage.files
        if re.search(r"^/etc/ssl/certs|^/usr/share/ca-certificates/|cacert\.pem$", path)
    ]
    asks = "OpenSSL" in look.usage.modules or "certifi" in look.usage.modules
    if not used and not asks:
        return
    drafts = []
    if look.node(_BUNDLE).kind == "file":
        # The bundle is made from single certificates, which are all there.
        drafts.append(
            Draft([f": > {_BUNDLE}"], ["update-ca-certificates --fresh"], _HINT, {"kind": "emptied bundle"})
        )
        drafts.append(
            Draft(
                [f"chmod 600 {_BUNDLE}"], [f"chmod 644 {_BUNDLE}"], _HINT, {"kind": "bundle for root only"}
            )
        )
    folder = look.node("/etc/ssl/certs")
    if folder.kind == "dir":
        drafts.append(
            Draft(
                ["chmod 700 /etc/ssl/certs"],
                [f"chmod {folder.mode:o} /etc/ssl/certs"],
                _HINT,
                {"kind": "closed folder"},
            )
        )
    for link in _LINKS:
        node = look.node(link)
        if node.kind == "link":
            broken = rng.choice(["/etc/pki/tls/certs", "/usr/local/ssl/certs", "/etc/ssl/ca-certs"])
            parameters = {"link": link, "broken_target": broken}
            drafts.append(
                Draft([f"ln -sfn {broken} {link}"], [f"ln -sfn {q(node.target)} {link}"], _HINT, parameters)
            )
    rng.shuffle(drafts)
    yield from drafts


def create() -> FaultFamily:
    """Give the family."""
    return Family("certificate-store", "network-security", _drafts)

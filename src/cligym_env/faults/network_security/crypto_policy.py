"""The system's cryptography policy allows too little, or cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q

__all__ = ["create"]

_HINT = (
    "The library for cryptography works; how it is set up for this system does not fit what the tests do."
)
_FILES = ("/etc/ssl/openssl.cnf", "/usr/lib/ssl/openssl.cnf")
_POLICIES = {
    "only the newest protocol": ["MinProtocol = TLSv1.3", "MaxProtocol = TLSv1.3"],
    "only an old protocol": ["MaxProtocol = TLSv1.1"],
    "no cipher": ["CipherString = NULL"],
    "an unknown cipher": ["CipherString = AES512-ONLY"],
    "an unknown group": ["Groups = brainpoolP999t1"],
}


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    if not set(_FILES) & set(look.usage.files):
        return
    path = look.node(_FILES[0]).real
    text = look.text(path)
    if "\n[openssl_init]\n" not in text or "ssl_conf" in text:
        return
    names = sorted(_POLICIES)
    rng.shuffle(names)
    for name in names:
        at = text.split("\n").index("[openssl_init]") + 1
        lines = "\n".join(
            [
                "",
                "[hardening]",
                "system_default = hardening_default",
                "",
                "[hardening_default]",
                *_POLICIES[name],
            ]
        )
        yield Draft(
            [f"sed -i {q(f'{at}a ssl_conf = hardening')} {path}", f"cat >> {path} <<'EOF'\n{lines}\nEOF"],
            [
                f"sed -i -e '/^ssl_conf = hardening$/d' {path}",
                f"truncate -s {len(text.encode())} {path}",
            ],
            _HINT,
            {"policy": name},
        )


def create() -> FaultFamily:
    """Give the family."""
    return Family("crypto-policy", "network-security", _drafts)

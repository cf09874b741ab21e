"""The system's cryptography policy allows only what no installed provider has."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q

__all__ = ["create"]

_HINT = "The library for cryptography works; how it is set up for this system rules out what the tests do."
_FILE = "/etc/ssl/openssl.cnf"
_SECTION = "[openssl_init]"


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    # What reads the system's library: its own program, and the interpreter's module for it.
    if "/usr/bin/openssl" not in look.usage.programs and not look.partly("_ssl"):
        return
    text = look.text(_FILE)
    lines = text.split("\n")
    if _SECTION not in lines or "alg_section" in text:
        return
    name = rng.choice(["hardened_properties", "fips_properties", "approved_only"])
    wanted = rng.choice(["fips=yes", "provider=fips", "provider=hsm"])
    number = lines.index(_SECTION) + 1
    yield Draft(
        [
            f"sed -i {q(f'{number}a alg_section = {name}')} {_FILE}",
            f"printf '\\n[{name}]\\ndefault_properties = {wanted}\\n' >> {_FILE}",
        ],
        [
            f"sed -i -e '/^alg_section = {name}$/d' {_FILE}",
            f"truncate -s {len(text.encode())} {_FILE}",
        ],
        _HINT,
        {"section": name, "properties": wanted},
    )


def create() -> FaultFamily:
    """Give the family."""
    return Family("crypto-policy", "network-security", _drafts)

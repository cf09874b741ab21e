"""A proxy set for the whole system swallows connections that should stay on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look
from cligym_env.faults._variables import set_variables

__all__ = ["create"]

_HINT = "Requests to this very machine are sent somewhere else first."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    modules, variables = look.usage.modules, {name.lower() for name in look.usage.variables}
    if not {"urllib.request", "requests", "httpx"} & set(modules) and "http_proxy" not in variables:
        return
    if not look.usage.events.get("socket.connect"):
        return
    port = rng.choice(["3128", "8080", "8118", "9"])
    spelling = rng.choice([["http_proxy"], ["http_proxy", "https_proxy"], ["HTTP_PROXY", "HTTPS_PROXY"]])
    yield set_variables(look, dict.fromkeys(spelling, f"http://127.0.0.1:{port}"), _HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("proxy-variable", "network-security", _drafts)

"""Policies as they are named on the command line: ``name`` or ``name:key=value,key=value``."""

from __future__ import annotations

from typing import Any, cast

from cligym_env import plugins
from cligym_env.core import Policy
from cligym_env.errors import UsageError

__all__ = ["policy"]


def policy(text: str, *, model: str = "", base_url: str = "") -> Policy:
    """Make the policy a text names.

    Args:
        text: ``oracle``, ``random:n_turns=3`` …
        model: for ``chat``, where the text gives none.
        base_url: for ``chat``, where the text gives none.

    Raises:
        UnknownNameError: no such policy; carries the nearest names.
        UsageError: options that are no ``key=value``, or that the policy does not take.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    if name == "chat":
        options.update({key: value for key, value in (("model", model), ("base_url", base_url)) if value})
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"policy {text!r}: expected name:key=value,…, and {pair!r} is no key=value")
        options[key.strip()] = value
    return cast("Policy", plugins.create("policies", name, **options))

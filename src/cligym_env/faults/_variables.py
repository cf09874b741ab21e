"""Lines of ``/etc/environment``: what every login, and every test run, starts with."""

from __future__ import annotations

from collections.abc import Mapping

from cligym_env.faults._common import Draft, Look, q

__all__ = ["set_variables"]

FILE = "/etc/environment"


def set_variables(look: Look, variables: Mapping[str, str], hint: str) -> Draft:
    """Give the draft that adds variables to the file, and its way back.

    Args:
        look: the gold.
        variables: what to add.
        hint: of the draft.
    """
    lines = [f"{name}={value}" for name, value in variables.items()]
    commands = [f"echo {q(line)} >> {FILE}" for line in lines]
    if look.node(FILE).kind != "file":
        solution = [f"rm {FILE}"]
    else:
        solution = [f"sed -i {q(f'/^{name}=/d')} {FILE}" for name in variables]
    return Draft(commands, solution, hint, dict(variables))

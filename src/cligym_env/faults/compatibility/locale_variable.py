"""The system's locale is one in which the tests' texts cannot be written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look
from cligym_env.faults._variables import set_variables

__all__ = ["create"]

_ENCODING = re.compile(r"stdout|getpreferredencoding|getfilesystemencoding|\blocale\.")
_HINT = "Plain letters work, others do not; ask the interpreter which encoding it thinks this system has."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    if look.test_text.isascii() or not _ENCODING.search(look.own_text):
        return
    # Without the second line the interpreter would help itself to UTF-8 in such a locale.
    name = rng.choice(["LC_ALL", "LC_CTYPE"])
    choices = [{name: rng.choice(["C", "POSIX"]), "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
    if look.usage.events.get("subprocess.Popen"):
        choices.append({"PYTHONIOENCODING": rng.choice(["ascii", "ascii:strict", "latin-1"])})
    for choice in choices:
        yield set_variables(look, choice, _HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("locale-variable", "compatibility", _drafts)

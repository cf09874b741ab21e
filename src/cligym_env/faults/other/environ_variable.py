"""A variable that the package reads is set for the whole system, to something it does not expect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, shuffled
from cligym_env.faults._variables import set_variables

__all__ = ["create"]

_HINT = "The package does what it is told; look at who else tells it something."
# Names by what they mean; what other families set is left to them.
_VALUES = (
    (
        re.compile(
            r"^(LANG|LC_|TZ|PATH|PYTHON|https?_proxy|no_proxy|all_proxy|USER|LOGNAME|SHELL|PWD)", re.I
        ),
        (),
    ),
    (re.compile(r"^HOME$"), ("/nonexistent", "/var/empty")),
    (
        re.compile(r"(DIR|HOME|FOLDER|ROOT|CACHE|DIRS|FILE|TMP|TEMP)$"),
        ("/srv/shared", "/var/spool/app", "/data"),
    ),
    (
        re.compile(r"(PAGER|EDITOR|VISUAL|BROWSER)$"),
        ("/usr/bin/false", "/usr/bin/less --version", "/usr/bin/more"),
    ),
    (re.compile(r"^TERM$"), ("dumb", "vt52")),
    (re.compile(r"COLOR|DISABLE|DEBUG|FORCE|CI$|NO_|ENABLE"), ("1", "true")),
    (re.compile(r""), ("1", "off", "default")),
)


def _values(name: str) -> tuple[str, ...]:
    return next(values for pattern, values in _VALUES if pattern.search(name))


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    names = [name for name in look.usage.variables if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]
    # A name that the package itself spells out is one it acts on; what the tests set or clear
    # themselves does not reach them.
    spelled = [name for name in names if re.search(rf"\b{name}\b", look.own_text)]
    guarded = re.compile(r"(?:setenv|delenv|environ\[|environ\.pop)\(?[\"'](\w+)")
    taken = set(guarded.findall(look.test_text))
    for name in shuffled((name for name in spelled if name not in taken), rng):
        values = _values(name)
        if values:
            yield set_variables(look, {name: rng.choice(values)}, _HINT)


def create() -> FaultFamily:
    """Give the family."""
    return Family("environ-variable", "other", _drafts)

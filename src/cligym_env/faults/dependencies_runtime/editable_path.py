"""The editable install points to a folder that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import SITE, Draft, Family, Look, Site, shuffled, swap_line

__all__ = ["create"]

_HINT = "The package is installed in place, only not at the place where it is."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    tops = {name for name, file in look.usage.modules.items() if "." not in name and look.own(file)}
    names = look.run(["ls", SITE]).split()
    starts = look.usage.events.get("subprocess.Popen", 0) + look.usage.events.get("os.posix_spawn", 0)
    for name in shuffled(
        (name for name in names if re.search(r"editable.*\.(pth|py)$|^_?\w+\.pth$", name)), rng
    ):
        path = f"{SITE}/{name}"
        for number, line in enumerate(look.text(path).split("\n"), 1):
            at = line.find(look.gold.workdir)
            if at < 0:
                continue
            # In the work folder itself the tests find a flat package without the install;
            # what they start elsewhere does not.
            flat = line.strip() == look.gold.workdir
            if (flat and not starts) or (not flat and not any(look.partly(top) for top in tops)):
                continue
            new = look.gold.workdir + rng.choice(["-old", ".git", "-main"])
            pair = swap_line(path, line, Site(number, at, look.gold.workdir, new))
            if pair is not None:
                yield Draft([pair[0]], [pair[1]], _HINT, {"file": path, "broken": new})


def create() -> FaultFamily:
    """Give the family."""
    return Family("editable-path", "dependencies-runtime", _drafts)

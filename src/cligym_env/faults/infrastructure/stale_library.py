"""The installed library is not what the sources make: somebody built it by hand from other ones."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, replace_in_line, shuffled
from cligym_env.faults._native import built, changes, libraries

__all__ = ["create"]

_HINT = "The sources are right, and so is what they make; something else is in use."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    found = libraries(look)
    for _, library in shuffled(((library.target, library) for library in found), rng):
        others = [other.path for other in found if other is not library]
        soname = look.run(f"objdump -p {q(library.path)} | sed -n 's/^ *SONAME *//p'").strip()
        for file in shuffled(library.sources, rng)[:6]:
            rest = " ".join(q(other) for other in library.sources if other != file)
            folder = q(file.rpartition("/")[0])
            includes = f"-I{folder} -I{q(look.gold.workdir)} -I{q(look.gold.workdir + '/build')}"
            for line, site in changes(look, file, rng, most=3):
                there = replace_in_line(line, site.column, site.old, site.new)
                if there is None or not soname or len(library.sources) > 1:
                    continue
                compile_ = (
                    f"sed {q(f'{site.line}{there}')} {q(file)} | gcc -shared -fPIC -O2 {includes} -x c - "
                    f"-x none {rest} {' '.join(q(other) for other in others)} -Wl,-soname,{q(soname)} "
                    f"-lm -o {q(library.path)}"
                )
                yield Draft(
                    [" ".join(compile_.split())],
                    [f"install -m 644 {q(built(library, look))} {q(library.path)}"],
                    _HINT,
                    {"library": library.path, "line": str(site.line), "old": site.old, "new": site.new},
                )


def create() -> FaultFamily:
    """Give the family."""
    return Family("stale-library", "infrastructure", _drafts)

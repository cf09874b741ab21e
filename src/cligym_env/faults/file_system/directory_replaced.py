"""Where a folder should be there is a file: a copy that went to the wrong name."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import SITE, Draft, Family, Look, q, shuffled
from cligym_env.faults._wheels import needed, reinstall

__all__ = ["create"]

_HINT = "Something of the right name is there, but it is not of the right kind."
_MAX_FILES = 45
_ZONES = "/usr/share/zoneinfo"


def _packages(look: Look, rng: Random) -> Iterator[Draft]:
    """Packages inside installed distributions, small enough to be one task."""
    for _, distribution in shuffled(((d.name, d) for d in needed(look)), rng):
        folders = {
            look.usage.modules[name].rpartition("/")[0]
            for name in distribution.modules
            if (look.partly(name) or look.lazily(name))
            and look.usage.modules[name].endswith("/__init__.py")
        }
        for folder in shuffled((folder for folder in folders if folder.startswith(SITE + "/")), rng):
            inside = [file for file in distribution.files if file.startswith(folder + "/")]
            if not 0 < len(inside) <= _MAX_FILES:
                continue
            module = folder.removeprefix(SITE + "/").replace("/", ".")
            yield Draft(
                [f"rm -r {q(folder)}", f"printf '# {module}\\n' > {q(folder)}"],
                [f"rm {q(folder)}", reinstall(distribution)],
                _HINT,
                {"path": folder, "distribution": distribution.name},
            )


def _zones(look: Look, rng: Random) -> Iterator[Draft]:
    """Regions of the time zone database that the tests read; Debian keeps a second copy."""
    regions = {
        path.split("/")[4] for path in look.usage.files if path.startswith(_ZONES) and path.count("/") == 5
    }
    for region in shuffled(regions, rng):
        folder, copy = f"{_ZONES}/{region}", f"{_ZONES}/posix/{region}"
        count = look.run(f"find {q(folder)} | wc -l").strip()
        if look.node(copy).kind == "dir" and count.isdigit() and int(count) <= _MAX_FILES + 10:
            yield Draft(
                [f"rm -r {q(folder)}", f"printf 'see tzdata.zi\\n' > {q(folder)}"],
                [f"rm {q(folder)}", f"cp -a {q(copy)} {q(folder)}"],
                _HINT,
                {"path": folder},
            )


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    yield from _packages(look, rng)
    yield from _zones(look, rng)


def create() -> FaultFamily:
    """Give the family."""
    return Family("directory-replaced", "file-system", _drafts)

"""Installed distributions and the offline wheelhouse: what can be installed again, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cligym_env.faults._common import PYTHON, SITE, Look

__all__ = ["TOOLS", "Distribution", "installed", "needed", "reinstall"]

_LIST = r"""
import importlib.metadata, json, os, re
def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()
wheels = {}
for file in sorted(os.listdir("/opt/wheelhouse")) if os.path.isdir("/opt/wheelhouse") else []:
    if file.endswith(".whl"):
        name, version = file.split("-")[:2]
        wheels.setdefault(plain(name), []).append(version)
found = []
for distribution in importlib.metadata.distributions(path=["SITE"]):
    files = [str(distribution.locate_file(file)) for file in distribution.files or []]
    files = [os.path.normpath(file) for file in files if not file.endswith(".pyc")]
    name = plain(distribution.metadata["Name"] or "")
    editable = '"editable": true' in (distribution.read_text("direct_url.json") or "")
    found.append([name, distribution.version, sorted(files), wheels.get(name, []), editable])
print(json.dumps(sorted(found)))
"""
TOOLS = frozenset({"pip", "setuptools", "wheel", "pytest", "pluggy", "packaging", "pygments"})
"""What the installer and the runner themselves consist of."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed distribution.

    Attributes:
        name: normalised.
        version: installed now.
        files: absolute paths, without bytecode.
        wheels: versions whose wheels lie in the wheelhouse.
        editable: installed from the work folder.
        modules: of those that the tests import.
    """

    name: str
    version: str
    files: tuple[str, ...]
    wheels: tuple[str, ...]
    editable: bool
    modules: tuple[str, ...]


def installed(look: Look) -> Iterator[Distribution]:
    """Yield what is installed in the virtual environment, sorted by name."""
    for name, version, files, wheels, editable in (
        look.python(_LIST.replace("SITE", SITE), interpreter=PYTHON) or []
    ):
        inside = set(files)
        modules = tuple(sorted(module for module, file in look.usage.modules.items() if file in inside))
        yield Distribution(name, version, tuple(files), tuple(wheels), editable, modules)


def needed(look: Look) -> Iterator[Distribution]:
    """Yield distributions whose modules the tests import and whose right wheel lies offline."""
    for found in installed(look):
        if (
            found.name not in TOOLS
            and found.version in found.wheels
            and found.modules
            and not found.editable
        ):
            yield found


def reinstall(distribution: Distribution) -> str:
    """Give the command that installs the right version again, from the wheelhouse."""
    return (
        f"{PYTHON} -m pip install --force-reinstall --no-deps {distribution.name}=={distribution.version}"
    )

"""Remove what dead runs left: sandboxes, containers, half-made layers."""

from __future__ import annotations

import typer

from cligym_env import plugins
from cligym_env.cli import _output

__all__ = ["app"]

app = typer.Typer()


@app.command("gc")
def gc(as_json: _output.JsonOption = False) -> None:
    """Remove what dead runs left: sandboxes, containers, half-made layers.

    What living processes hold is left alone, and so are images.
    """
    removed: dict[str, int] = {}
    for name in plugins.names("backends"):
        backend = plugins.create("backends", name)
        try:
            if not backend.problems():
                removed[name] = backend.sweep()
        finally:
            backend.close()
    if as_json:
        _output.json_out(removed)
    else:
        _output.table("Removed", ("back end", "sandboxes"), list(removed.items()))

"""The command line: thin, one module per command or group of commands, found by listing this folder.

A module whose name does not start with an underscore IS a command: its file name is the command's
name, the first line of its docstring the line in ``cligym --help``, and it holds ``app``. One
command on its own is ``app = typer.Typer()`` with ``@app.command("<name>")``; a group is
``app = typer.Typer(name="<name>", no_args_is_help=True)`` with a command for each word. Only the
module that is asked for is imported, so that ``--help`` is quick and a missing extra hurts nobody.

What a command keeps to: results go to stdout (tables by ``_output.table``, JSON with ``--json``),
everything else to stderr; it lets errors through, and ``main`` says them in one line.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.metadata
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cligym_env.errors import CligymError

__all__ = ["commands", "main"]

EXIT_ERROR = 2
"""The exit code of every error that the caller, or the machine, can mend."""

EXIT_INTERRUPTED = 130
_debug = False


def commands() -> dict[str, str]:
    """Give every command's name and the line that describes it; imports none of them."""
    found: dict[str, str] = {}
    for file in sorted(Path(__file__).parent.glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        found[file.stem.replace("_", "-")] = text.partition("\n")[0]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``cligym``; ends the process.

    Args:
        arguments: of the command line; the process's own when left out.

    Raises:
        SystemExit: always: 0, the command's own code, 2 after an error, 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    asked = next((word for word in arguments if not word.startswith("-")), "")
    try:
        _program(asked)(arguments, prog_name="cligym")
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader has seen enough (`cligym … | head`); the interpreter must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cligym_env"):
            raise
        _fail(error, f"{error.name} is not installed: pip install 'cligym-env[{_extra(error.name)}]'")
    except (CligymError, OSError) as error:
        _fail(error, str(error))


def _program(asked: str) -> typer.Typer:
    program = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
    program.callback(help="Break real repositories, and repair them.")(_options)
    for name, line in commands().items():
        if name == asked:
            program.add_typer(importlib.import_module(f"{__name__}.{name.replace('-', '_')}").app)
        else:
            program.command(name, help=line)(_stand_in)
    return program


def _stand_in() -> None:
    """Take the place of a command nobody asked for, in the list of commands."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(importlib.metadata.version("cligym-env"))
        raise typer.Exit


def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    global _debug  # noqa: PLW0603 - the one switch of the process
    _debug = debug or bool(os.environ.get("CLIGYM_DEBUG"))
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )


def _fail(error: BaseException, message: str) -> None:
    if _debug:
        raise error
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"cligym: {message or type(error).__name__}\n")
    sys.exit(EXIT_ERROR)


def _extra(module: str | None) -> str:
    top = (module or "").partition(".")[0]
    return {"openai": "llm", "datasets": "data", "pyarrow": "data"}.get(top, "train")

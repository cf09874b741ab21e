"""A person at a terminal; or a pipe, whose end is a ``submit``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console

from cligym_env.core import Call, Task, Turn
from cligym_env.errors import UsageError

__all__ = ["HELP", "Human", "create"]

HELP = """\
Type shell commands; a line that ends with a backslash goes on in the next one.
  submit   the work is done: judge it (so does Ctrl-D)
  :hint    one sentence that points at the cause
  :task    what is to be done, once more
  :help    this text
Ctrl-C gives up, without a judgement."""


class Human:
    """Shows what was seen, and reads what to do next.

    Args:
        stdin: read line by line; with a terminal there, lines can be edited and called back.
        stdout: written to; in colours where it is a terminal.
    """

    name = "human"

    def __init__(self, stdin: TextIO, stdout: TextIO) -> None:
        self._stdin = stdin
        self._console = Console(file=stdout, markup=False, highlight=False, soft_wrap=True)
        self._at_terminal = stdin is sys.stdin and stdin.isatty() and stdout.isatty()
        if self._at_terminal:
            import readline  # noqa: F401, PLC0415 - importing it is what gives input() its history

    def act(
        self, instruction: str, history: Sequence[Turn], *, seed: int, task: Task | None = None
    ) -> Call:
        """Ask the person; see ``core.Policy``."""
        if history:
            self.show(history[-1].observation)
        else:
            self._say(instruction, "bold")
            self._say(HELP, "dim")
        while True:
            line = self._line()
            if line is None:
                return Call("submit")
            word = line.strip()
            if word == ":hint":
                self._say(task.inversion.hint if task else "There is none.", "yellow")
            elif word == ":task":
                self._say(instruction, "bold")
            elif word in (":help", "?"):
                self._say(HELP, "dim")
            elif word:
                return Call(line)

    def show(self, observation: str) -> None:
        """Print an observation, its line of status apart from the output."""
        output, _, status = observation.rpartition("\n")
        if output:
            self._say(output, "")
        self._say(status, "green" if status.startswith("[exit code 0;") else "cyan")

    def _say(self, text: str, style: str) -> None:
        self._console.print(text, style=style or None)

    def _line(self) -> str | None:
        lines: list[str] = []
        while True:
            try:
                line = self._read("$ " if not lines else "> ")
            except EOFError:
                return "\n".join(lines) or None
            if line.endswith("\\"):
                lines.append(line)
                continue
            return "\n".join((*lines, line))

    def _read(self, marker: str) -> str:
        if self._at_terminal:
            return input(marker)
        line = self._stdin.readline()
        if not line:
            raise EOFError
        line = line.removesuffix("\n")
        # A pipe echoes nothing: what was typed is shown, so that the output can be read.
        self._console.print(marker + line, style="bold")
        return line


def create(*, stdin: TextIO | None = None, stdout: TextIO | None = None) -> Human:
    """Make the policy.

    Args:
        stdin: the process's own when left out.
        stdout: the process's own when left out.

    Raises:
        UsageError: there is nothing to read from.
    """
    source = stdin or sys.stdin
    if source is None or source.closed:
        raise UsageError("the policy human reads from standard input, and it is closed")
    return Human(source, stdout or sys.stdout)

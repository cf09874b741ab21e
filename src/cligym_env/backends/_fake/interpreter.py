"""Runs the fake's shell: expansion, redirection, virtual time, and the user's own handler first."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cligym_env.backends._fake.disk import Disk
from cligym_env.backends._fake.parse import BadSyntaxError, Command, Pipeline, Word, parse

__all__ = ["Builtin", "DeadlineReached", "Handler", "Interpreter", "ShellEnded", "State", "Streams"]

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ASSIGNMENT = re.compile(r"(\w+)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\\([\"\\$`])|\$(?:\{(\w+)\}|(\w+|[?$]))")
_UNSUPPORTED = frozenset({"if", "for", "while", "until", "case", "function", "{", "}", "[[", "select"})
_COUNT = re.compile(r"([^{]*)\{(\d+)\.\.(\d+)\}([^{]*)")
_PID = 2


class DeadlineReached(Exception):  # noqa: N818 - a signal between these modules
    """The virtual clock ran beyond the command's deadline."""


class ShellEnded(Exception):  # noqa: N818 - a signal between these modules
    """The shell itself ended, with an exit code."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code


@dataclass(slots=True)
class State:
    """What a command finds, and may change. Handlers get it too.

    Attributes:
        disk: the sandbox's files.
        cwd: the directory.
        variables: the shell's variables, exported or not.
        exported: names of those that children see.
        uid, gid: who runs the command.
        clock_s: virtual seconds that commands have slept.
        deadline_s: where on that clock the current command ends.
        status: exit code of the last command.
    """

    disk: Disk
    cwd: str = "/"
    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    uid: int = 0
    gid: int = 0
    clock_s: float = 0.0
    deadline_s: float = float("inf")
    status: int = 0

    def path(self, name: str) -> str:
        """Make a name absolute by the current directory."""
        return name if name.startswith("/") else f"{self.cwd.rstrip('/')}/{name}"

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass.

        Raises:
            DeadlineReached: more than the command has.
        """
        self.clock_s += seconds
        if self.clock_s > self.deadline_s:
            self.clock_s = self.deadline_s
            raise DeadlineReached

    @property
    def environ(self) -> dict[str, str]:
        """What a child of the shell sees."""
        return {name: self.variables[name] for name in sorted(self.exported) if name in self.variables}


Handler = Callable[[str, State], "tuple[int, str | bytes] | None"]
"""Plays a command: the exit code and the output, or ``None`` to leave it to the builtins."""


@dataclass(slots=True)
class Streams:
    """Where one command reads and writes."""

    stdin: bytes
    out: bytearray
    err: bytearray


Builtin = Callable[["Interpreter", Sequence[str], Streams], int]


class Interpreter:
    """Runs texts against a state.

    Args:
        state: of the shell.
        builtins: name → what it does.
        handler: asked first, for every text and for every command of it.
    """

    def __init__(self, state: State, builtins: dict[str, Builtin], handler: Handler | None) -> None:
        self.state = state
        self._builtins = builtins
        self._handler = handler

    def run(self, text: str, streams: Streams) -> int:
        """Run a text; its exit code.

        Raises:
            DeadlineReached: its time is over.
            ShellEnded: it ended the shell.
        """
        handled = self._ask(text, streams)
        if handled is not None:
            return handled
        try:
            pipelines = parse(text)
        except BadSyntaxError as error:
            streams.err += f"bash: syntax error: {error}\n".encode()
            return 2
        return self._list(pipelines, streams)

    def call(self, words: Sequence[str], streams: Streams) -> int:
        """Run one command given as words; its exit code."""
        handled = self._ask(shlex.join(words), streams)
        if handled is not None:
            return handled
        name = words[0].rpartition("/")[2]
        if name in _UNSUPPORTED:
            streams.err += f"bash: the fake's shell has no {name!r}\n".encode()
            return 2
        builtin = self._builtins.get(name)
        if builtin is not None and (name == words[0] or words[0].startswith(("/bin/", "/usr/bin/"))):
            return builtin(self, words[1:], streams)
        is_file = self.state.disk.at(self.state.path(words[0])) if "/" in words[0] else None
        reason, code = ("Permission denied", 126) if is_file else ("command not found", 127)
        streams.err += f"bash: {words[0]}: {reason}\n".encode("utf-8", "surrogateescape")
        return code

    def _ask(self, text: str, streams: Streams) -> int | None:
        answer = self._handler(text, self.state) if self._handler else None
        if answer is None:
            return None
        code, output = answer
        streams.out += output.encode("utf-8", "surrogateescape") if isinstance(output, str) else output
        return code

    # ── lists and pipelines ─────────────────────────────────────────────────────────────────

    def _list(self, pipelines: Sequence[Pipeline], streams: Streams) -> int:
        for pipeline in pipelines:
            if (pipeline.joint == "&&" and self.state.status) or (
                pipeline.joint == "||" and not self.state.status
            ):
                continue
            if pipeline.background:
                # Nothing runs on here: what would is taken as started, and as never ending.
                self.state.status = 0
                continue
            self.state.status = self._pipeline(pipeline, streams)
        return self.state.status

    def _pipeline(self, pipeline: Pipeline, streams: Streams) -> int:
        stdin, status = streams.stdin, 0
        for place, command in enumerate(pipeline.commands):
            is_last = place == len(pipeline.commands) - 1
            out = streams.out if is_last else bytearray()
            alone = len(pipeline.commands) == 1
            status = self._command(command, Streams(stdin, out, streams.err), alone=alone)
            stdin = bytes(out)
        return status

    def _command(self, command: Command, streams: Streams, *, alone: bool) -> int:
        files: list[tuple[str, bytearray]] = []
        for redirection in command.redirections:
            problem = self._redirect(
                redirection.descriptor, redirection.operator, redirection.target, streams, files
            )
            if problem:
                streams.err += f"bash: {problem}\n".encode("utf-8", "surrogateescape")
                return 1
        try:
            if command.inner is not None or not alone:
                return self._subshell(command, streams)
            return self._simple(command.words, streams)
        finally:
            for path, content in files:
                self.state.disk.write(
                    path, bytes(content), mode=0o644, owner=(self.state.uid, self.state.gid)
                )

    def _redirect(
        self,
        descriptor: int,
        operator: str,
        target: Word,
        streams: Streams,
        files: list[tuple[str, bytearray]],
    ) -> str:
        name = self._expand(target)
        if operator == "<<<":
            streams.stdin = name.encode("utf-8", "surrogateescape") + b"\n"
            return ""
        if operator in (">&", "<&"):
            other = {"1": streams.out, "2": streams.err}.get(name, bytearray())
            streams.out, streams.err = (streams.out, other) if descriptor == 2 else (other, streams.err)
            return ""
        path, node = self.state.path(name), self.state.disk.at(self.state.path(name))
        if operator == "<":
            if node is None or node.kind == "dir":
                return f"{name}: No such file or directory"
            streams.stdin = node.data
            return ""
        if node is not None and node.kind == "dir":
            return f"{name}: Is a directory"
        sink = bytearray(node.data if node and operator == ">>" else b"")
        if path != "/dev/null":
            files.append((path, sink))
        streams.err = sink if descriptor == 2 or operator == "&>" else streams.err
        streams.out = streams.out if descriptor == 2 else sink
        return ""

    def _subshell(self, command: Command, streams: Streams) -> int:
        state = self.state
        kept = (state.cwd, dict(state.variables), set(state.exported))
        try:
            if command.inner is not None:
                return self._list(command.inner, streams)
            return self._simple(command.words, streams)
        except ShellEnded as end:
            return end.exit_code
        finally:
            state.cwd, state.variables, state.exported = kept

    def _simple(self, words: Sequence[Word], streams: Streams) -> int:
        texts: list[str] = []
        for word in words:
            found = _ASSIGNMENT.fullmatch(word.pieces[0][1]) if word.pieces[0][0] == "plain" else None
            if found and not texts:
                rest = self._expand(Word(word.pieces[1:]))
                self.state.variables[found[1]] = found[2] + rest
            else:
                texts += self._words(word)
        return self.call(texts, streams) if texts else 0

    # ── words ───────────────────────────────────────────────────────────────────────────────

    def _words(self, word: Word) -> list[str]:
        """Expand a word, to several where it counts in braces, ``{1..5}``."""
        counted = _COUNT.fullmatch("".join(text for kind, text in word.pieces if kind == "plain"))
        if counted is None or len(word.pieces) > 1:
            return [self._expand(word)]
        before, first, last, after = counted.groups()
        return [f"{before}{number}{after}" for number in range(int(first), int(last) + 1)]

    def _expand(self, word: Word) -> str:
        return "".join(self._piece(kind, text) for kind, text in word.pieces)

    def _piece(self, kind: str, text: str) -> str:
        match kind:
            case "single":
                return text[1:-1]
            case "ansi":
                return unescape(text[2:-1])
            case "double":
                return _VARIABLE.sub(self._variable, text[1:-1])
            case "variable":
                return _VARIABLE.sub(self._variable, text)
            case "escape":
                return text[1:]
            case _:
                home = self.state.variables.get("HOME", "/")
                return home + text[1:] if text == "~" or text.startswith("~/") else text

    def _variable(self, found: re.Match[str]) -> str:
        if found[1]:
            return found[1]
        name = found[2] or found[3]
        special = {"?": str(self.state.status), "$": str(_PID)}
        return special.get(name, self.state.variables.get(name, ""))


def unescape(text: str) -> str:
    """Replace backslash escapes; bytes above 127 become lone surrogates, as in file names."""

    def one(found: re.Match[str]) -> str:
        word = found[1]
        if word[0] == "x" and len(word) > 1:
            number = int(word[1:], 16)
        elif word[0] in "01234567":
            number = int(word, 8) & 255
        else:
            return _ESCAPES.get(word, word if word in "\\'\"" else f"\\{word}")
        return chr(number) if number < 128 else chr(0xDC00 + number)

    return _ESCAPE.sub(one, text)

"""The grammar of the fake's shell: lists, pipelines, subshells, redirections, quoted words.

No loops, conditions, functions or here-documents: a fake that grows into a shell is no fake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["BadSyntaxError", "Command", "Pipeline", "Redirection", "Word", "parse"]

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|\\\n)
    |(?P<remark>(?<![^\s;&|()])\#[^\n]*)
    |(?P<redirection>\d?(?:>>|<<<|>&|<&|>|<)|&>)
    |(?P<operator>&&|\|\||[;&|()\n])
    |(?P<ansi>\$'(?:[^'\\]|\\.)*')
    |(?P<single>'[^']*')
    |(?P<double>"(?:[^"\\]|\\.)*")
    |(?P<variable>\$(?:\{\w+\}|\w+|[?$!@*\#-]))
    |(?P<escape>\\.)
    |(?P<plain>[^\s;&|()<>'"\\$]+|\$)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD_KINDS = frozenset({"ansi", "single", "double", "variable", "escape", "plain"})


class BadSyntaxError(Exception):
    """What is no complete command of this little shell."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word, as pieces of (kind, text) to be expanded when it is used."""

    pieces: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Redirection:
    """A descriptor, an operator, and where to or from."""

    descriptor: int
    operator: str
    target: Word


@dataclass(slots=True)
class Command:
    """A simple command, or a list in parentheses."""

    words: list[Word] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)
    inner: list[Pipeline] | None = None


@dataclass(slots=True)
class Pipeline:
    """Commands that feed each other, and what joins them to the pipeline before."""

    commands: list[Command]
    joint: str = ";"
    background: bool = False


def parse(text: str) -> list[Pipeline]:
    """Take a command text apart.

    Raises:
        BadSyntaxError: it is no complete command.
    """
    tokens = _tokens(text)
    pipelines = _list(tokens)
    if tokens:
        raise BadSyntaxError(f"unexpected {tokens[0][1]!r}")
    return pipelines


def _tokens(text: str) -> list[tuple[str, str | Word]]:
    tokens: list[tuple[str, str | Word]] = []
    pieces: list[tuple[str, str]] = []
    place = 0

    def end_word() -> None:
        if pieces:
            tokens.append(("word", Word(tuple(pieces))))
            pieces.clear()

    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise BadSyntaxError("unexpected end of the text")
        place = found.end()
        if found.lastgroup in _WORD_KINDS:
            pieces.append((found.lastgroup, found.group()))
            continue
        end_word()
        if found.lastgroup in ("redirection", "operator"):
            tokens.append((found.lastgroup, found.group()))
    end_word()
    return tokens


def _list(tokens: list[tuple[str, str | Word]]) -> list[Pipeline]:
    pipelines: list[Pipeline] = []
    joint = ";"
    while tokens:
        kind, value = tokens[0]
        if (kind, value) == ("operator", ")"):
            break
        if (kind, value) == ("operator", "\n"):
            tokens.pop(0)
            continue
        pipelines.append(Pipeline(_pipeline(tokens), joint))
        if not tokens or tokens[0][1] == ")":
            return pipelines
        _, value = tokens.pop(0)
        joint = str(value) if value in ("&&", "||") else ";"
        pipelines[-1].background = value == "&"
    if joint != ";":
        raise BadSyntaxError("unexpected end of the text")
    return pipelines


def _pipeline(tokens: list[tuple[str, str | Word]]) -> list[Command]:
    commands = [_command(tokens)]
    while tokens and tokens[0] == ("operator", "|"):
        tokens.pop(0)
        commands.append(_command(tokens))
    return commands


def _command(tokens: list[tuple[str, str | Word]]) -> Command:
    command = Command()
    if tokens and tokens[0] == ("operator", "("):
        tokens.pop(0)
        command.inner = _list(tokens)
        if not tokens or tokens.pop(0) != ("operator", ")"):
            raise BadSyntaxError("a parenthesis is open")
    while tokens and tokens[0][0] != "operator":
        kind, value = tokens.pop(0)
        if isinstance(value, Word):
            if command.inner is not None:
                raise BadSyntaxError("a word after a parenthesis")
            command.words.append(value)
        elif kind == "redirection":
            command.redirections.append(_redirection(value, tokens))
    if not command.words and not command.redirections and command.inner is None:
        raise BadSyntaxError("a command is missing")
    return command


def _redirection(text: str, tokens: list[tuple[str, str | Word]]) -> Redirection:
    if not tokens or not isinstance(tokens[0][1], Word):
        raise BadSyntaxError("a redirection leads nowhere")
    digits = text[0] if text[0].isdigit() else ""
    operator = text[len(digits) :]
    descriptor = int(digits) if digits else (0 if operator.startswith("<") else 1)
    target = tokens.pop(0)[1]
    assert isinstance(target, Word)
    return Redirection(descriptor, operator, target)

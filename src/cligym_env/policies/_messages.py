"""Turns as chat messages with tool calls, and answers as actions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cligym_env import conversation
from cligym_env.core import Turn

__all__ = ["Understood", "shortened", "understood", "written"]

_LEFT_OUT = "[left out to save room]"
_THINK = re.compile(r"<think>(.*?)(?:</think>|\Z)", re.DOTALL)
_FENCE = re.compile(r"```(?:bash|sh|shell)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Understood:
    """What an answer says.

    Attributes:
        action: to be typed; ``None`` when it says none.
        thought: all other words.
        problem: why there is no action; empty when no tool was called at all.
    """

    action: str | None
    thought: str
    problem: str = ""


def written(
    instruction: str, history: Sequence[Turn], *, max_chars: int, reasoning_field: bool
) -> list[dict[str, Any]]:
    """Write the episode so far as the messages of a request.

    Args:
        instruction: the first message of the user.
        history: each turn becomes a tool call and its result.
        max_chars: of all contents; outputs of the oldest turns make room first, then whole turns go.
        reasoning_field: send thoughts back as ``reasoning_content``; else as plain content, for
            servers that refuse fields they do not know.
    """
    messages = [_wired(message, reasoning_field) for message in conversation.messages(instruction, history)]
    while _n_chars(messages) > max_chars:
        shorter = shortened(messages)
        if shorter is None:
            break
        messages = shorter
    return messages


def _wired(message: dict[str, Any], reasoning_field: bool) -> dict[str, Any]:
    """The protocol has arguments as text, where training has them as a dict."""
    message = dict(message)
    if not reasoning_field and "reasoning_content" in message:
        message["content"] = message.pop("reasoning_content")
    calls = []
    for call in message.pop("tool_calls", ()):
        arguments = json.dumps(call["function"]["arguments"], ensure_ascii=False)
        calls.append({**call, "function": {**call["function"], "arguments": arguments}})
    if calls:
        message["tool_calls"] = calls
    if message["role"] == "tool":
        message.pop("name", None)
    return message


def _n_chars(messages: Sequence[Mapping[str, Any]]) -> int:
    total = 0
    for message in messages:
        total += len(message.get("content") or "") + len(message.get("reasoning_content") or "")
        for call in message.get("tool_calls") or ():
            total += len(call["function"]["arguments"])
    return total


def shortened(messages: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Make room: half of the outputs go, the oldest first; after that, half of the turns.

    Returns:
        New messages; ``None`` when the last turn alone is left.
    """
    places = [place for place, message in enumerate(messages) if message["role"] == "tool"]
    whole = [place for place in places[:-1] if messages[place]["content"] != _LEFT_OUT]
    if whole:
        gone = set(whole[: (len(whole) + 1) // 2])
        return [
            {**message, "content": _LEFT_OUT} if place in gone else message
            for place, message in enumerate(messages)
        ]
    if len(places) > 1:
        n_gone = len(places) // 2
        return [*messages[:2], *messages[places[n_gone - 1] + 1 :]]
    return None


def understood(reply: Mapping[str, Any]) -> Understood:
    """Read an answer of the chat-completions protocol.

    Args:
        reply: the whole response; of several tool calls the first counts, and a fenced block of
            shell is taken for one where a model cannot call tools.
    """
    message = reply["choices"][0].get("message") or {}
    content = str(message.get("content") or "")
    reasoning = str(message.get("reasoning_content") or message.get("reasoning") or "")
    inner = "\n\n".join(part.strip() for part in _THINK.findall(content))
    spoken = _THINK.sub("", content).strip()
    thought = "\n\n".join(part for part in (reasoning.strip(), inner, spoken) if part)
    calls = message.get("tool_calls") or ()
    if calls:
        return _called(calls[0].get("function") or {}, thought)
    fenced = _FENCE.findall(spoken)
    if fenced:
        return Understood(fenced[0].strip("\n"), thought)
    if spoken == "submit":
        return Understood("submit", thought)
    return Understood(None, thought)


def _called(function: Mapping[str, Any], thought: str) -> Understood:
    name = function.get("name")
    if name == "submit":
        return Understood("submit", thought)
    if name != "bash":
        return Understood(None, thought, f"There is no tool {name!r}.")
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError as error:
        return Understood(None, thought, f"The arguments of bash are no JSON: {error}.")
    command = arguments.get("command") if isinstance(arguments, dict) else None
    if not isinstance(command, str):
        return Understood(None, thought, "bash takes one argument, command, a text.")
    return Understood(command, thought)

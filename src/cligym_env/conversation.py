"""An episode as a conversation with tool calls: the one form that models act in and are trained on.

A policy that asks a server and the rows that train its next version must not differ in a word, so
both take the system message, the tools and the shape of a turn from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cligym_env.core import Call, Turn

__all__ = ["SYSTEM", "TOOLS", "called", "messages"]

SYSTEM = (
    "You repair a Linux machine through its shell. Call the tool bash with one command at a time; the "
    "shell keeps its directory and variables between calls, has no terminal and no input. Look before "
    "you change anything, and run the tests before you finish. Call submit when the work is done."
)

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "bash",
            "description": "Run a command in the persistent root shell and give its output.",
            "parameters": {
                "type": "object",
                "properties": {"command": {"type": "string", "description": "The command or script."}},
                "required": ["command"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "submit",
            "description": "Say that the work is done; ends the episode.",
            "parameters": {"type": "object", "properties": {}},
        },
    },
]
"""What a model is offered, in the spelling of the chat-completions protocol."""


def called(call: Call) -> tuple[str, dict[str, str]]:
    """Give the tool and the arguments that an action is a call of."""
    if call.action.strip() == "submit":
        return "submit", {}
    return "bash", {"command": call.action}


def messages(instruction: str, turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Write an episode as chat messages, for training.

    Reasoning stands in ``reasoning_content``, arguments are dicts, and the result of a last
    ``submit`` is left out: no policy ever reads it.

    Args:
        instruction: what the policy was told.
        turns: what it did and saw.
    """
    written: list[dict[str, Any]] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": instruction},
    ]
    for place, turn in enumerate(turns):
        name, arguments = called(turn.call)
        function = {"name": name, "arguments": arguments}
        call = {"id": f"call_{place}", "type": "function", "function": function}
        said: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": [call]}
        if turn.call.thought:
            said["reasoning_content"] = turn.call.thought
        written.append(said)
        if name != "submit" or place < len(turns) - 1:
            result = {"role": "tool", "tool_call_id": call["id"], "name": name, "content": turn.observation}
            written.append(result)
    return written

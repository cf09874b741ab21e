"""A model behind an OpenAI-compatible endpoint, which types by calling tools.

It is offered two tools, ``bash`` and ``submit``. Works with any server that speaks the
chat-completions protocol: hosted ones, vLLM, SGLang, llama.cpp, ``transformers serve``. Needs the
extra ``llm``. What the model reasons goes into the turn's thought, and back to it as its own words.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cligym_env import conversation
from cligym_env.core import Call, Task, Turn
from cligym_env.errors import PolicyError, UsageError
from cligym_env.policies import _messages

if TYPE_CHECKING:
    import openai

__all__ = ["Chat", "create"]

_N_ASKED = 2
_MIN_CONTEXT_CHARS = 2_000
_NO_KEY = "none"  # servers of one's own ask for none, but the client insists on something
_SEED_RANGE = 2**31

NUDGE = "Call one of the tools: bash with a command, or submit when the environment is repaired."


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the server is asked, and told what was said before; ``None`` leaves it to the server."""

    temperature: float | None
    max_tokens: int | None
    reasoning_field: bool


class Chat:
    """Asks a server for the next action.

    Args:
        client: of the endpoint.
        model: name of the model there.
        sampling: how to answer.
        max_context_chars: of all messages; the outputs of the oldest turns are left out beyond it.
    """

    def __init__(
        self, client: openai.OpenAI, model: str, *, sampling: Sampling, max_context_chars: int
    ) -> None:
        self.name = f"chat/{model}"
        self._client, self._model, self._sampling = client, model, sampling
        self._max_context_chars = max_context_chars

    def act(
        self, instruction: str, history: Sequence[Turn], *, seed: int, task: Task | None = None
    ) -> Call:
        """Ask the model; see ``core.Policy``.

        A model that calls no tool is reminded once; after that its silence is a ``submit``.

        Raises:
            PolicyError: the server cannot be reached, or refuses; says which and why.
        """
        extra: list[dict[str, Any]] = []
        usage: dict[str, float] = {}
        thought = ""
        for _ in range(_N_ASKED):
            messages = _messages.written(
                instruction,
                history,
                max_chars=self._max_context_chars,
                reasoning_field=self._sampling.reasoning_field,
            )
            reply = self._ask([*messages, *extra], seed=(seed + len(history)) % _SEED_RANGE)
            _add(usage, reply)
            said = _messages.understood(reply)
            thought = "\n\n".join(part for part in (thought, said.thought) if part)
            if said.action is not None:
                return Call(said.action, thought, usage)
            extra = [{"role": "assistant", "content": said.thought or "…"}]
            extra.append({"role": "user", "content": f"{said.problem} {NUDGE}".strip()})
        return Call("submit", thought, usage)

    def _ask(self, messages: list[dict[str, Any]], *, seed: int) -> dict[str, Any]:
        import openai  # noqa: PLC0415 - an extra

        options: dict[str, Any] = {"seed": seed}
        if self._sampling.temperature is not None:
            options["temperature"] = self._sampling.temperature
        if self._sampling.max_tokens is not None:
            options["max_tokens"] = self._sampling.max_tokens
        # Plain values: the client's own types name every field, and servers know more and fewer.
        create: Any = self._client.chat.completions.create
        while True:
            try:
                answer = create(model=self._model, messages=messages, tools=conversation.TOOLS, **options)
            except openai.BadRequestError as error:
                shorter = _messages.shortened(messages) if "context" in str(error).lower() else None
                if shorter is None:
                    raise PolicyError(self._refused(error)) from error
                messages = shorter
            except openai.APIConnectionError as error:
                raise PolicyError(
                    f"no answer from {self._client.base_url}: {error.__cause__ or error}"
                ) from error
            except openai.OpenAIError as error:
                raise PolicyError(self._refused(error)) from error
            except ValueError as error:  # not even JSON: a proxy's page, say
                raise PolicyError(_foreign(self._client.base_url)) from error
            else:
                return _plain(answer, self._client.base_url)

    def _refused(self, error: Exception) -> str:
        return f"{self._client.base_url} refuses model {self._model!r}: {error}"


def _plain(answer: Any, url: object) -> dict[str, Any]:
    """Take the protocol's plain values: servers differ in what they leave out or add."""
    dump = getattr(answer, "model_dump", None)
    plain = dump() if dump is not None else None
    if not isinstance(plain, dict) or not plain.get("choices"):
        raise PolicyError(_foreign(url))
    return plain


def _foreign(url: object) -> str:
    return f"{url} does not speak the chat-completions protocol"


def _add(usage: dict[str, float], reply: Mapping[str, Any]) -> None:
    for name, value in (reply.get("usage") or {}).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            usage[name] = usage.get(name, 0) + value


def create(
    *,
    model: str = "",
    base_url: str = "",
    api_key: str = "",
    temperature: float | str | None = None,
    max_tokens: int | str | None = None,
    max_context_chars: int | str = 200_000,
    timeout_s: float | str = 600.0,
    n_retries: int | str = 4,
) -> Chat:
    """Make the policy.

    Args:
        model: name of the model; ``CLIGYM_MODEL`` when left out.
        base_url: of the endpoint, up to ``/v1``; ``OPENAI_BASE_URL``, else OpenAI's, when left out.
        api_key: ``OPENAI_API_KEY`` when left out; servers of one's own need none.
        temperature: the server's own when left out.
        max_tokens: of one answer; the server's own when left out.
        max_context_chars: of all messages together.
        timeout_s: for one answer.
        n_retries: of a request that the network or a busy server failed.

    Raises:
        UsageError: no model, no key where one is needed, no such number, or the extra is missing.
    """
    try:
        import openai  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise UsageError("the policy chat needs an extra: pip install 'cligym-env[llm]'") from error

    model = model or os.environ.get("CLIGYM_MODEL", "")
    base_url = base_url or os.environ.get("OPENAI_BASE_URL", "")
    api_key = api_key or os.environ.get("OPENAI_API_KEY", "")
    if not model:
        raise UsageError("the policy chat needs a model: model=…, or CLIGYM_MODEL")
    if not api_key and not base_url:
        raise UsageError(
            "the policy chat needs a key (OPENAI_API_KEY), or a server of your own "
            "(base_url=…, OPENAI_BASE_URL)"
        )
    client = openai.OpenAI(
        base_url=base_url or None,
        api_key=api_key or _NO_KEY,
        timeout=_number("timeout_s", timeout_s, 0.001),
        max_retries=int(_number("n_retries", n_retries, 0)),
    )
    sampling = Sampling(
        None if temperature is None else _number("temperature", temperature, 0),
        None if max_tokens is None else int(_number("max_tokens", max_tokens, 1)),
        reasoning_field=bool(base_url),  # a hosted service refuses fields it does not know
    )
    chars = int(_number("max_context_chars", max_context_chars, _MIN_CONTEXT_CHARS))
    return Chat(client, model, sampling=sampling, max_context_chars=chars)


def _number(name: str, value: float | str, least: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not number >= least:
        raise UsageError(f"{name} is a number from {least:g}, not {value!r}")
    return number

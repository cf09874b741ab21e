"""The chat policy against a real endpoint on this machine."""

from __future__ import annotations

import builtins
import json
import socket

import pytest

pytest.importorskip("openai")

from chat_server import RefusalError, bash, call, serving

from cligym_env import conversation, plugins
from cligym_env.core import Call, Turn
from cligym_env.errors import PolicyError, UnknownNameError, UsageError

TURNS = (
    Turn(Call("ls", "look first"), "a\nb\n[exit code 0; turn 1 of 9]", 0),
    Turn(Call("echo 'ü'"), "ü\n[exit code 0; turn 2 of 9]", 0),
)


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "CLIGYM_MODEL"):
        monkeypatch.delenv(name, raising=False)


def chat(server, **options):
    return plugins.create(
        "policies", "chat", **{"model": "tiny", "base_url": server.url, "n_retries": 0, **options}
    )


def acted(answer, history=(), **options):
    """What the policy does when the server always answers so, and what it had asked for."""
    with serving(answer if callable(answer) else lambda request: answer) as server:
        return chat(server, **options).act("repair it", history, seed=5), server.requests


def test_a_tool_call_becomes_an_action():
    act, [request] = acted(bash("ls -la", reasoning_content="let me look"), TURNS)
    assert act == Call(
        "ls -la", "let me look", {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    )
    assert request["tools"] == conversation.TOOLS
    roles = [message["role"] for message in request["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert request["messages"][0]["content"] == conversation.SYSTEM
    assert request["messages"][2]["reasoning_content"] == "look first"
    assert json.loads(request["messages"][4]["tool_calls"][0]["function"]["arguments"]) == {
        "command": "echo 'ü'"
    }
    assert request["messages"][5]["content"] == TURNS[1].observation
    assert "temperature" not in request and request["seed"] == 7


@pytest.mark.parametrize(
    ("answer", "action", "thought"),
    [
        (call("submit", {}), "submit", ""),
        (call("submit", ""), "submit", ""),
        (bash("a", content="I will try a."), "a", "I will try a."),
        (bash("a", content="<think>hm</think>I will."), "a", "hm\n\nI will."),
        (bash("a", reasoning="hm"), "a", "hm"),
        ({"content": "Do this:\n```bash\nls\npwd\n```\n"}, "ls\npwd", "Do this:\n```bash\nls\npwd\n```"),
        ({"content": "submit"}, "submit", "submit"),
        ({"content": "<think>never ends"}, "submit", "never ends\n\nnever ends"),
        ({"content": ""}, "submit", ""),
    ],
)
def test_what_models_say(answer, action, thought):
    act, _ = acted(answer)
    assert (act.action, act.thought) == (action, thought)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"content": "All is well."}, "Call one of the tools"),
        (call("python", {}), "no tool 'python'"),
        (call("bash", "{broken"), "no JSON"),
        (call("bash", {"cmd": "x"}), "one argument, command"),
        (call("bash", '["ls"]'), "one argument, command"),
    ],
)
def test_a_call_that_is_none_is_asked_for_once_more(answer, told):
    answers = iter([answer, bash("ls")])
    act, requests = acted(lambda request: next(answers))
    assert act.action == "ls"
    assert act.usage["total_tokens"] == 26
    assert told in requests[1]["messages"][-1]["content"]
    act, requests = acted(answer)
    assert (act.action, len(requests)) == ("submit", 2)


def test_of_several_calls_the_first_counts():
    two = bash("first")
    two["tool_calls"] = [*two["tool_calls"], {**bash("second")["tool_calls"][0], "id": "call_y"}]
    assert acted(two)[0].action == "first"


def test_context_is_bounded():
    long = tuple(Turn(Call(f"cat {n}"), str(n) * 1_000, 0) for n in range(10, 40))
    _, [request] = acted(bash("x"), long, max_context_chars=8_000)
    contents = [message["content"] for message in request["messages"]]
    assert sum(map(len, contents)) <= 8_000
    assert contents[1] == "repair it"
    assert contents[-1] == "39" * 1_000
    assert "[left out to save room]" in contents


def test_a_server_that_wants_less_gets_less():
    long = tuple(Turn(Call(f"cat {n}"), "x" * 1_000, 0) for n in range(8))

    def picky(request):
        if len(json.dumps(request["messages"])) > 4_000:
            raise RefusalError(400, "maximum context length exceeded")
        return bash("ok")

    act, requests = acted(picky, long)
    assert act.action == "ok"
    assert len(requests) > 2
    with pytest.raises(PolicyError, match="context"):
        acted(lambda request: (_ for _ in ()).throw(RefusalError(400, "context too long")), long)


def test_options():
    _, [request] = acted(bash("x"), temperature="0.5", max_tokens="64")
    assert (request["temperature"], request["max_tokens"]) == (0.5, 64)


def test_keys_and_names_from_the_environment(monkeypatch):
    with serving(lambda request: bash("x")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
        monkeypatch.setenv("CLIGYM_MODEL", "from-environ")
        policy = plugins.create("policies", "chat")
        assert policy.name == "chat/from-environ"
        policy.act("x", (), seed=0)
        assert server.keys == ["Bearer sk-of-a-test"]
        assert server.requests[0]["model"] == "from-environ"


def test_a_hosted_service_gets_no_field_it_does_not_know():
    with serving(lambda request: bash("x")) as server:
        policy = plugins.create("policies", "chat", model="m", api_key="k", n_retries=0)
        policy._client.base_url = server.url
        policy.act("x", TURNS, seed=0)
    assert server.requests[0]["messages"][2]["content"] == "look first"
    assert "reasoning_content" not in json.dumps(server.requests[0])


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────


def test_a_busy_server_is_asked_again():
    answers = iter(
        [RefusalError(503, "busy", retry_after_ms="1"), RefusalError(429, "slow", retry_after_ms="1")]
    )

    def busy(request):
        refusal = next(answers, None)
        if refusal:
            raise refusal
        return bash("ls")

    act, requests = acted(busy, n_retries=3)
    assert (act.action, len(requests)) == ("ls", 3)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (RefusalError(401, "bad key"), "refuses model 'tiny'.*bad key"),
        (RefusalError(404, "no such model"), "no such model"),
        (RefusalError(500, "oops"), "oops"),
        (b"<html>a proxy</html>", "does not speak"),
        (b'{"object": "list"}', "does not speak"),
        (b'"hello"', "does not speak|refuses"),
    ],
)
def test_a_server_that_refuses_or_speaks_otherwise(answer, told):
    def script(request):
        if isinstance(answer, RefusalError):
            raise answer
        return answer

    with pytest.raises(PolicyError, match=told):
        acted(script)


def test_no_server():
    # Bound and not listening: nobody else can answer there meanwhile.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        policy = plugins.create("policies", "chat", model="m", base_url=url, n_retries=0)
        with pytest.raises(PolicyError, match=f"no answer from {url}.*refused"):
            policy.act("x", (), seed=0)


def test_a_server_that_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        policy = plugins.create("policies", "chat", model="m", base_url=url, n_retries=0, timeout_s=0.2)
        with pytest.raises(PolicyError, match="no answer"):
            policy.act("x", (), seed=0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "needs a model"),
        ({"model": "m"}, "needs a key"),
        ({"model": "m", "base_url": "http://x", "temperature": "hot"}, "temperature"),
        ({"model": "m", "base_url": "http://x", "max_tokens": 0}, "max_tokens"),
        ({"model": "m", "base_url": "http://x", "n_retries": -1}, "n_retries"),
        ({"model": "m", "base_url": "http://x", "timeout_s": "nan"}, "timeout_s"),
        ({"model": "m", "base_url": "http://x", "max_context_chars": 5}, "max_context_chars"),
        ({"model": "m", "nonsense": 1}, "nonsense"),
    ],
)
def test_options_that_make_no_sense(options, told):
    with pytest.raises(UsageError, match=told):
        plugins.create("policies", "chat", **options)


def test_without_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *more):
        if name == "openai":
            raise ModuleNotFoundError("No module named 'openai'", name="openai")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"cligym-env\[llm\]"):
        plugins.create("policies", "chat", model="m", base_url="http://x")


def test_the_name_is_listed():
    assert "chat" in plugins.names("policies")
    with pytest.raises(UnknownNameError, match="unknown policy 'caht'"):
        plugins.create("policies", "caht")

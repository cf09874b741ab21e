"""A small server that speaks the chat-completions protocol, and refuses what does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[dict[str, Any]], Any]


def call(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    """An answer that calls one tool."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function = {"name": name, "arguments": text}
    message = {"content": None, "tool_calls": [{"id": "call_x", "type": "function", "function": function}]}
    return {**message, **more}


def bash(command: str, **more: Any) -> dict[str, Any]:
    return call("bash", {"command": command}, **more)


class RefusalError(Exception):
    """Answer with an error of the protocol."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        self.status, self.message, self.headers = status, message, headers


def problem(request: dict[str, Any]) -> str:
    """What in a request does not keep to the protocol; empty when it does."""
    messages = request.get("messages")
    if not isinstance(request.get("model"), str) or not isinstance(messages, list) or not messages:
        return "model and messages are required"
    waiting: list[str] = []
    for message in messages:
        answers = message.get("tool_call_id")
        if message.get("role") not in ("system", "user", "assistant", "tool"):
            return "no such role"
        if not isinstance(message.get("content"), str | None):
            return "content is a text"
        if answers not in waiting if message["role"] == "tool" else bool(waiting):
            return "each tool call is followed by its answer, and nothing else is one"
        waiting = [one for one in waiting if one != answers]
        for one in message.get("tool_calls") or ():
            json.loads(one["function"]["arguments"])
            waiting.append(one["id"])
    for tool in request.get("tools") or ():
        if tool["type"] != "function" or tool["function"]["parameters"]["type"] != "object":
            return "a tool is a function with parameters"
    return "a tool call was not answered" if waiting else ""


class Server:
    """Answers with a script; keeps every request.

    Args:
        script: request → the message to answer with (or raises ``RefusalError``, or gives bytes to send).
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.url = ""

    def answer(self, request: dict[str, Any]) -> Any:
        wrong = problem(request)
        if wrong:
            raise RefusalError(400, wrong)
        message = self.script(request)
        if isinstance(message, bytes):
            return message
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
        usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [choice],
            "usage": usage,
        }


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """Run the server on a free port."""
    server = Server(script)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.keys.append(self.headers.get("Authorization", ""))
            if self.path != "/v1/chat/completions":
                self.send(404, {"error": {"message": f"no {self.path}"}})
                return
            request = json.loads(body)
            server.requests.append(request)
            try:
                self.send(200, server.answer(request))
            except RefusalError as refusal:
                self.send(refusal.status, {"error": {"message": refusal.message}}, **refusal.headers)

        def send(self, status: int, content: Any, **headers: str) -> None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()

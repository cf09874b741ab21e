"""The chat policy and a real model: a tiny Qwen3 behind ``transformers serve``, on this machine alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import pytest

pytest.importorskip("openai")
pytest.importorskip("torch")
pytest.importorskip("trl")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from cligym_env import conversation, plugins
from cligym_env.core import Call, Turn
from cligym_env.train import tiny

pytestmark = pytest.mark.slow

PATIENCE_S = 900.0
TURNS = (Turn(Call("ls", "look first"), "a\nb\n[exit code 0; turn 1 of 9]", 0),)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    rows = [{"messages": conversation.messages("repair it", TURNS), "tools": conversation.TOOLS}]
    tokenizer = tiny.tokenizer(tiny.texts(rows))
    tokenizer.save_pretrained(folder)
    tiny.model(len(tokenizer)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def url(checkpoint, tmp_path_factory):
    """The server chooses its port and says which."""
    program = (
        "import sys; from transformers.cli.transformers import main; sys.argv[0] = 'transformers'; main()"
    )
    options = ["--host", "127.0.0.1", "--port", "0", "--device", "cpu", "--log-level", "info"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve", str(checkpoint), *options],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path_factory.mktemp("hf"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    guard = threading.Timer(PATIENCE_S, process.kill)
    guard.start()
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            found = re.search(r"running on (http://127\.0\.0\.1:\d+)", line)
            if found:
                break
        else:
            pytest.fail("the server did not start:\n" + "".join(said))
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        yield found[1] + "/v1"
    finally:
        guard.cancel()
        process.kill()
        process.wait()


def test_a_served_model_acts(url, checkpoint):
    policy = plugins.create(
        "policies", "chat", model=str(checkpoint), base_url=url, max_tokens=24, temperature=1.0, n_retries=0
    )
    for history in ((), TURNS):
        call = policy.act("repair it", history, seed=1)
        assert isinstance(call.action, str) and call.action
        assert call.usage["prompt_tokens"] > 100
        assert 0 < call.usage["completion_tokens"] <= 2 * 24

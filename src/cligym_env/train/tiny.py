"""A Qwen3 of a few thousand weights, with a tokenizer trained on the spot: for tests and tours.

It learns nothing worth knowing, but everything a real model goes through it goes through: the chat
template with tools, the mask over what others said, the optimiser, the checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any

__all__ = ["model", "texts", "tokenizer"]

_VOCABULARY = 2048
_END, _PAD = "<|im_end|>", "<|endoftext|>"
_SPECIAL = [_PAD, "<|im_start|>", _END]
_MARKS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]


def texts(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the words of training rows, for a tokenizer to be trained on.

    Args:
        rows: with ``messages`` and ``tools``, as the exporter ``sft`` writes them.
    """
    for row in rows:
        for message in row["messages"]:
            yield message.get("content") or ""
            yield message.get("reasoning_content") or ""
            yield json.dumps(message.get("tool_calls") or [], ensure_ascii=False)
        yield json.dumps(list(row["tools"]))


def tokenizer(corpus: Iterable[str], *, n_tokens: int = _VOCABULARY) -> Any:
    """Train a byte-level tokenizer with Qwen3's chat template.

    The template is the one TRL ships, byte for byte, for which it knows the twin that marks what
    the assistant said.

    Args:
        corpus: texts to train on.
        n_tokens: size of the vocabulary at most.

    Returns:
        A ``transformers`` tokenizer.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens,
        special_tokens=[*_SPECIAL, *_MARKS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(corpus, trainer)
    template = resources.files("trl").joinpath("chat_templates", "qwen3.jinja").read_text(encoding="utf-8")
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=_END,
        pad_token=_PAD,
        additional_special_tokens=_SPECIAL[1:],
        chat_template=template,
    )


def model(n_tokens: int, *, seed: int = 0, n_positions: int = 32_768) -> Any:
    """Make a randomly initialised Qwen3 of about 200,000 weights.

    Args:
        n_tokens: size of the vocabulary.
        seed: of the initial weights.
        n_positions: the longest text it takes, in tokens.

    Returns:
        A ``transformers.Qwen3ForCausalLM`` on the CPU.
    """
    import torch  # noqa: PLC0415
    from transformers import Qwen3Config, Qwen3ForCausalLM  # noqa: PLC0415

    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=n_tokens,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=n_positions,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM(config)

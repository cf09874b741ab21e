"""The text space: any Unicode, harmless samples, shared memory that tells what stands there now."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import numpy as np
import pytest
from gymnasium.spaces import Text
from gymnasium.vector.utils import (
    batch_space,
    create_shared_memory,
    read_from_shared_memory,
    write_to_shared_memory,
)

from cligym_env.envs.spaces import TextSpace


@pytest.mark.parametrize("text", ["", "plain", "ünï ✓ 𝛼", "\x1b[31m\0\r\n\t", "x" * 20])
def test_any_text_that_is_not_too_long_is_in(text):
    assert text in TextSpace(20)


@pytest.mark.parametrize("value", ["x" * 21, b"bytes", None, 3, ["a"], "\ud800"])
def test_what_is_no_such_text_is_out(value):
    assert value not in TextSpace(20)


def test_a_least_length():
    assert "" not in TextSpace(20, min_length=1)
    assert all(len(TextSpace(20, min_length=15, seed=n).sample()) >= 15 for n in range(20))


def test_samples_are_harmless_commands_and_repeat():
    space, other = TextSpace(100, seed=3), TextSpace(100, seed=3)
    samples = [space.sample() for _ in range(200)]
    assert samples == [other.sample() for _ in range(200)]
    assert len(set(samples)) > 50
    assert all(sample in space and sample.split()[0] in ("true", "echo") for sample in samples)
    assert all(sample.isascii() and sample.replace(" ", "").isalpha() for sample in samples)


def test_samples_fit_a_short_space():
    assert {TextSpace(n, seed=n).sample() for n in (0, 1, 2)} <= {"", ":"}


def test_masks_have_no_meaning():
    with pytest.raises(ValueError, match="no alphabet"):
        TextSpace(5).sample(mask=(1, None))


def test_equal_is_what_has_equal_lengths():
    assert TextSpace(5) == TextSpace(5, seed=9)
    assert TextSpace(5) != TextSpace(6)
    assert TextSpace(5) != Text(5)
    assert repr(TextSpace(5)) == "TextSpace(0, 5)"


def test_copies_are_equal_and_sample_alike():
    space = TextSpace(50, seed=1)
    twins = [pickle.loads(pickle.dumps(space)), copy.deepcopy(space)]
    expected = [space.sample() for _ in range(5)]
    for twin in twins:
        assert twin == space
        assert [twin.sample() for _ in range(5)] == expected


def test_a_batch_is_a_tuple():
    batch = batch_space(TextSpace(10), 3)
    assert ("a", "ü", "") in batch
    assert ("a", "b") not in batch


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_shared_memory_holds_what_another_process_wrote(context):
    space = TextSpace(12)
    ctx = multiprocessing.get_context(context)
    memory = create_shared_memory(space, n=3, ctx=ctx)
    live = read_from_shared_memory(space, memory, n=3)
    assert copy.deepcopy(live) == ("", "", "")
    process = ctx.Process(target=write_to_shared_memory, args=(space, 1, "ünï ✓ 𝛼", memory))
    process.start()
    process.join()
    assert process.exitcode == 0
    write_to_shared_memory(space, 2, "x" * 12, memory)
    assert copy.deepcopy(live) == ("", "ünï ✓ 𝛼", "x" * 12) == live
    assert copy.deepcopy(live) in batch_space(space, 3)
    write_to_shared_memory(space, 2, "short", memory)
    assert (live[2], live[-1], live[0:2], len(live)) == ("short", "short", ("", "ünï ✓ 𝛼"), 3)
    with pytest.raises(IndexError):
        live[3]


def test_a_text_that_does_not_fit_shared_memory_is_refused():
    space = TextSpace(3)
    memory = create_shared_memory(space, n=1, ctx=multiprocessing)
    with pytest.raises(ValueError, match="does not fit"):
        write_to_shared_memory(space, 0, "abcd", memory)


def test_seeds_of_numpy_are_taken():
    assert TextSpace(9, seed=np.random.default_rng(1)).sample() in TextSpace(9)

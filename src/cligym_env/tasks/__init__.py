"""Tasks as text: the folder on disk, the image built from it, and what a policy is told.

A task folder is a valid Harbor task (``task.toml`` of schema 1.4); what is ours stands under
``[metadata.cligym]``. See ``docs/tasks.md``.
"""

from __future__ import annotations

from cligym_env.tasks._folder import (
    MAX_FOLDER_BYTES,
    content_hash,
    read,
    size_bytes,
    split_of,
    task_id,
    write,
)
from cligym_env.tasks._image import Replay, commit, image, is_derived, is_inert, replay, same, states
from cligym_env.tasks._instruction import failures, instruction, leaks, scrub, test_command
from cligym_env.tasks._seal import seal

__all__ = [
    "MAX_FOLDER_BYTES",
    "Replay",
    "commit",
    "content_hash",
    "failures",
    "image",
    "instruction",
    "is_derived",
    "is_inert",
    "leaks",
    "read",
    "replay",
    "same",
    "scrub",
    "seal",
    "size_bytes",
    "split_of",
    "states",
    "task_id",
    "test_command",
    "write",
]

"""Every error this library raises on purpose, drawn as a tree.

::

    CligymError
    ├── UsageError (ValueError)      the caller can mend it: a name, a file, an argument
    │   ├── UnknownNameError         no such task, gold, plug-in; carries the nearest names
    │   ├── RecipeError              a TOML is malformed: file, key, what was expected
    │   ├── ActionError              an action that is no text, too long, or holds NUL
    │   └── EpisodeError             step before reset, or after the end, or after close
    ├── PolicyError                  a policy that cannot act: its server is gone, or refuses
    ├── GoldError                    a repository whose suite fails or flakes; carries the tests
    ├── RejectedError                a candidate that is no task; carries the reason
    └── SandboxError                 the machine, never the policy: it is not a reward
        ├── BackendUnavailableError  no engine, no namespaces; says what to install or enable
        ├── ImageError               an image that cannot be built, found or read
        ├── SandboxLostError         gone in mid-episode (engine stopped, killed from outside)
        ├── ShellLostError           no shell can be started any more inside a live sandbox
        └── DeadlineError            a call into a sandbox that did not return in time

What a *policy* does inside a sandbox never raises: it is data, in the observation. A
``SandboxError`` ends a rollout with the outcome ``error``, which is counted and masked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ActionError",
    "BackendUnavailableError",
    "CligymError",
    "DeadlineError",
    "EpisodeError",
    "GoldError",
    "ImageError",
    "PolicyError",
    "RecipeError",
    "RejectedError",
    "SandboxError",
    "SandboxLostError",
    "ShellLostError",
    "UnknownNameError",
    "UsageError",
]


class CligymError(Exception):
    """Root of the tree: catch this to catch everything the library raises on purpose."""


class UsageError(CligymError, ValueError):
    """Something the caller can mend."""


class UnknownNameError(UsageError):
    """A name nothing is registered under.

    Args:
        kind: what was looked for, for example ``"task"``.
        name: the name as it was given.
        known: every name that would have worked; the nearest ones go into the message.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        known = sorted(known)
        self.nearest = tuple(difflib.get_close_matches(name, known, n=3, cutoff=0.4))
        if self.nearest:
            way_out = "did you mean " + " or ".join(repr(near) for near in self.nearest) + "?"
        elif known:
            way_out = "known: " + ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
        else:
            way_out = f"there is no {kind} at all"
        super().__init__(f"unknown {kind} {name!r}: {way_out}")


class RecipeError(UsageError):
    """A malformed TOML.

    Args:
        file: where it stands.
        key: the offending key, dotted; empty when the file does not parse at all.
        expected: what should stand there.
    """

    def __init__(self, file: object, key: str, expected: str) -> None:
        self.file = str(file)
        self.key = key
        self.expected = expected
        super().__init__(f"{file}: {key + ': ' if key else ''}{expected}")


class ActionError(UsageError):
    """An action outside the action space: not a string, too long, or with a NUL in it."""


class EpisodeError(UsageError):
    """``step`` before ``reset``, after the episode's end, or after ``close``."""


class PolicyError(CligymError):
    """A policy that cannot act, through no fault of the environment: its server is gone, or refuses."""


class GoldError(CligymError):
    """A repository that cannot become a gold.

    Args:
        message: what went wrong.
        tests: the node ids that failed or flaked; empty when it did not come to a run.
    """

    def __init__(self, message: str, tests: Iterable[str] = ()) -> None:
        self.tests = tuple(tests)
        if self.tests:
            shown = ", ".join(self.tests[:5]) + (" …" if len(self.tests) > 5 else "")
            message = f"{message} ({len(self.tests)} tests: {shown})"
        super().__init__(message)


class RejectedError(CligymError):
    """A candidate that does not pass admission.

    Args:
        gate: name of the gate that refused it, for example ``"noop"``.
        reason: one line for the record of rejected candidates.
    """

    def __init__(self, gate: str, reason: str) -> None:
        self.gate = gate
        self.reason = reason
        super().__init__(f"{gate}: {reason}")


class SandboxError(CligymError):
    """The machine failed, not the policy; never a reward."""


class BackendUnavailableError(SandboxError):
    """A back end that does not work on this machine; the message says what would help."""


class ImageError(SandboxError):
    """An image that cannot be built, found or read."""


class SandboxLostError(SandboxError):
    """A sandbox that is gone although nobody closed it."""


class ShellLostError(SandboxError):
    """A live sandbox in which no shell can be started any more."""


class DeadlineError(SandboxError):
    """A call into a sandbox that did not come back by its deadline."""

"""The policy without a plan: commands drawn from a list, harmless ones and others, then ``submit``."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from cligym_env.core import Call, Task, Turn
from cligym_env.errors import UsageError

__all__ = ["COMMANDS", "RandomPolicy", "create"]

COMMANDS = (
    "pwd; ls -la",
    "id; whoami; uname -s",
    "cat /etc/os-release",
    "env | sort",
    "git log --oneline | head -5; git status --short | head",
    "python -c 'import sys; print(sys.version)'",
    "python -m pip list 2>&1 | head -40",
    "python -m pytest -q -x 2>&1 | tail -15",
    "find / -xdev -newer /etc/passwd -type f 2>/dev/null | head",
    "ldconfig -p | head -3",
    "cd /tmp",
    "cd /testbed",
    "export FOO=bar; echo $FOO",
    "printf 'caf\\303\\251 \\342\\234\\223\\n'",
    "cat /nonexistent",
    "false",
    'echo "unbalanced',
    "yes | head -c 100000",
    "head -c 300 /dev/urandom",
    "sleep 1",
    "touch /testbed/notes.txt",
    "mkdir -p /tmp/try && echo draft > /tmp/try/draft",
    "rm -rf /tmp/*",
    "chmod -R g-w /tmp",
    "pip uninstall -y nothing-of-that-name",
    "find /testbed -name '*.pyc' -delete",
    "(sleep 30 &) ; echo started",
    "kill -9 $$",
    "exit 3",
    "set -e; false",
)
"""What it draws from; the later, the less harmless. None repairs anything."""


class RandomPolicy:
    """Draws ``n_turns`` commands, then submits.

    Args:
        n_turns: commands before it submits.
    """

    name = "random"

    def __init__(self, n_turns: int) -> None:
        self._n_turns = n_turns

    def act(
        self, instruction: str, history: Sequence[Turn], *, seed: int, task: Task | None = None
    ) -> Call:
        """Draw a command: the same one for equal seeds and places; see ``core.Policy``."""
        if len(history) >= self._n_turns:
            return Call("submit")
        return Call(Random(f"{seed}/{len(history)}").choice(COMMANDS))


def create(*, n_turns: int | str = 6) -> RandomPolicy:
    """Make the policy; see ``RandomPolicy``.

    Raises:
        UsageError: ``n_turns`` is no whole number from 0.
    """
    try:
        number = int(n_turns)
    except ValueError:
        number = -1
    if number < 0:
        raise UsageError(f"n_turns is a whole number from 0, not {n_turns!r}")
    return RandomPolicy(number)

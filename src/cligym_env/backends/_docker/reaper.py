"""Removes what a dead process left: a process of its own that outlives the one it watches.

Started with its standard input on a pipe whose other end the watched process holds. When that ends,
however it ends, everything that carries the session's label is removed. Nothing is imported for that
before it is needed, so that the waiting costs little.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

__all__ = ["Reaper", "main"]

_QUIET_S = 3.0  # without anything new: an order on its way when its giver died may still be carried out
_GIVE_UP_S = 600.0


class Reaper:
    """One process that waits for the end of this one.

    Args:
        session: the label to remove then.
        base_url: the engine; ``DOCKER_HOST`` or the local socket when empty.
    """

    def __init__(self, session: str, base_url: str = "") -> None:
        code = "from cligym_env.backends._docker.reaper import main; main()"
        folders = [os.path.dirname(__file__)] + [os.pardir] * 3
        path = os.path.normpath(os.path.join(*folders))
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([path, *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, session, base_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environ,
            start_new_session=True,
        )
        self._owner = os.getpid()
        os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        """Close a forked child's copy of the pipe, which would keep the reaper waiting."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def stop(self) -> None:
        """Let it look for the last time; does not wait for it."""
        if self._process.stdin is not None and os.getpid() == self._owner:
            self._process.stdin.close()
            threading.Thread(target=self._process.wait, daemon=True).start()


def main() -> None:
    """Wait for the end of standard input, then remove what carries the session's label."""
    session, base_url = sys.argv[1], sys.argv[2]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    from cligym_env.backends._docker import sweeping  # noqa: PLC0415 - see the module's docstring

    sweeping.reap(session, base_url or None, quiet_s=_QUIET_S, until=time.monotonic() + _GIVE_UP_S)


if __name__ == "__main__":
    main()

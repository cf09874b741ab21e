"""A hardening policy of the interpreter forbids something that the tests do."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import MAX_REACH, Draft, Family, Look, shuffled
from cligym_env.faults._startup import block

__all__ = ["create"]

_HINT = "What is refused here is refused by a policy of the interpreter, not by the operating system."
# What the runner itself may do between the tests has to stay allowed.
_FORBIDDABLE = (
    *(
        "ctypes.dlopen",
        "ctypes.dlsym",
        "fcntl.fcntl",
        "fcntl.flock",
        "fcntl.ioctl",
        "fcntl.lockf",
        "glob.glob",
    ),
    *(
        "mmap.__new__",
        "os.chown",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.link",
    ),
    *("os.posix_spawn", "os.system", "pickle.find_class", "pty.spawn"),
    *("shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.unpack_archive", "signal.pthread_kill"),
    *("socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostname"),
    *("socket.__new__", "socket.sendto", "sqlite3.connect", "sqlite3.enable_load_extension"),
    *("sqlite3.load_extension", "subprocess.Popen", "urllib.Request", "webbrowser.open"),
)


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    most = MAX_REACH * look.n_tests
    events = [
        event for event, n_tests in look.usage.events.items() if event in _FORBIDDABLE and n_tests <= most
    ]
    for event in shuffled(events, rng):
        message = rng.choice(
            ["denied by local policy", "not permitted on this host", "blocked: see your administrator"]
        )
        lines = [
            "import sys",
            "def _policy(event, args):",
            f"    if event == {event!r}:",
            f"        raise PermissionError(event + ': {message}')",
            "sys.addaudithook(_policy)",
        ]
        draft = block(look, "local security policy", lines, _HINT, {"event": event})
        if draft is not None:
            yield draft


def create() -> FaultFamily:
    """Give the family."""
    return Family("audit-policy", "network-security", _drafts)

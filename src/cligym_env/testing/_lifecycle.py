"""Checks of beginnings and ends: many at once, closing, owners that die, nothing left behind."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cligym_env.core import Image, Limits, Sandbox
from cligym_env.errors import SandboxError, SandboxLostError
from cligym_env.testing._bench import (
    LONG_S,
    Bench,
    collect,
    nonce,
    ok,
    raises,
    returned,
    same,
    together,
    until,
)

__all__ = ["CHECKS"]

_OWNER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits it ignored
from cligym_env import plugins
from cligym_env.core import Image
backend = plugins.create("backends", sys.argv[1])
sandbox = backend.start(Image(sys.argv[1], sys.argv[2]))
shell = sandbox.shell()
shell.run(f"sleep {sys.argv[3]} & true", timeout_s=60)
sandbox.exec(f"setsid sleep {sys.argv[3]} >/dev/null 2>&1 &", timeout_s=60)
print("ready", flush=True)
if sys.argv[4] == "wait":
    time.sleep(600)
"""


def many_sandboxes(bench: Bench) -> None:
    """Sixteen sandboxes started by eight threads at once are all apart."""

    def one(number: int) -> str:
        sandbox = bench.start()
        shell = sandbox.shell()
        shell.run(f"echo {number} > /srv/f; cd /srv; sleep 0.2", timeout_s=LONG_S)
        return shell.run("cat f; ls", timeout_s=LONG_S).text

    for _ in range(2):
        outputs = together([partial(one, number) for number in range(8)])
        same(outputs, [f"{number}\nf\n" for number in range(8)], "outputs")


def outlives_its_thread(bench: Bench) -> None:
    """A sandbox lives on when the thread that started it has ended."""
    made: list[Sandbox] = []
    thread = threading.Thread(target=lambda: made.append(bench.start()))
    thread.start()
    thread.join()
    shell = made[0].shell()
    ok(shell.run("sleep 0.3; echo alive", timeout_s=LONG_S), "alive\n")
    ok(made[0].exec("echo alive", timeout_s=LONG_S), "alive\n")


def start_and_close_often(bench: Bench) -> None:
    """Twenty sandboxes one after the other each begin with the image's disk."""
    for _ in range(20):
        sandbox = bench.start()
        ok(sandbox.exec("ls /srv; touch /srv/f", timeout_s=LONG_S), "")
        sandbox.close()


def close_twice(bench: Bench) -> None:
    """A sandbox can be closed twice, and by two threads at once."""
    sandbox = bench.start()
    sandbox.close()
    sandbox.close()
    sandbox = bench.start()
    together([sandbox.close] * 4)


def use_after_close(bench: Bench) -> None:
    """Every use of a closed sandbox raises SandboxLostError."""
    sandbox = bench.start()
    shell = sandbox.shell()
    sandbox.close()
    calls: dict[str, Callable[[], object]] = {
        "exec": lambda: sandbox.exec("true", timeout_s=LONG_S),
        "shell": sandbox.shell,
        "read": lambda: sandbox.read("/etc/passwd"),
        "write": lambda: sandbox.write("/srv/f", b""),
        "put": lambda: sandbox.put(b"", remove=["/srv/f"]),
        "freeze": sandbox.freeze,
        "commit": sandbox.commit,
    }
    for name, call in calls.items():
        raises(SandboxLostError, partial(returned, call, LONG_S), name)
    # Its shells are closed with it, and may say just that.
    raises(SandboxError, partial(shell.run, "true", timeout_s=LONG_S), "a shell's run")
    shell.close()


def close_ends_a_command(bench: Bench) -> None:
    """Closing a sandbox ends a command that another thread waits for; it gets an answer or our error."""
    sandbox, started = bench.start(), threading.Event()
    ended: list[str] = []

    def work() -> None:
        started.set()
        try:
            sandbox.exec(f"sleep {nonce()}", timeout_s=600)
            ended.append("answer")
        except SandboxError:
            ended.append("error")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    started.wait()
    returned(sandbox.close, 0)
    until(lambda: bool(ended), "the waiting command came back")


def close_ends_its_processes(bench: Bench) -> None:
    """After closing, nothing of the sandbox runs on the machine, detached or not."""
    sandbox, mark = bench.start(), nonce()
    sandbox.shell().run(f"sleep {mark} & setsid sleep {mark} & true", timeout_s=LONG_S)
    sandbox.exec(f"(trap '' TERM HUP INT; setsid sleep {mark} >/dev/null 2>&1 &)", timeout_s=LONG_S)
    returned(sandbox.close, 0)
    until(lambda: not _on_the_host(mark), "no process of the closed sandbox runs")


def backend_close(bench: Bench) -> None:
    """Closing a back end closes what it started, and nothing of others; twice is harmless."""
    backend, other = bench.another(), bench.start()
    sandboxes = [backend.start(bench.image), backend.start(bench.image)]
    backend.close()
    backend.close()
    for sandbox in sandboxes:
        raises(SandboxLostError, partial(sandbox.exec, "true", timeout_s=LONG_S), "a command")
    ok(other.exec("echo alive", timeout_s=LONG_S), "alive\n")


def sweep_spares_the_living(bench: Bench) -> None:
    """A sweep removes nothing that belongs to a living owner."""
    sandbox = bench.start()
    bench.backend.sweep()
    bench.another().sweep()
    ok(sandbox.exec("echo alive", timeout_s=LONG_S), "alive\n")


def limits_are_apart(bench: Bench) -> None:
    """Each sandbox keeps its own limits, also one started again from the same image."""
    small, large = bench.start(limits=Limits(output_bytes=10)), bench.start()
    sizes = [len(box.exec("echo 0123456789abcdef", timeout_s=LONG_S).output) for box in (small, large)]
    same(sizes, [10, 17], "bytes of output kept")


def owner_ends(bench: Bench) -> None:
    """A process that ends without closing leaves no process and no file behind."""
    _owner(bench, None)


def owner_is_interrupted(bench: Bench) -> None:
    """A process that Ctrl-C ends leaves no process and no file behind."""
    _owner(bench, signal.SIGINT)


def owner_is_killed(bench: Bench) -> None:
    """A process that SIGKILL ends leaves no process, and no temporary file after a sweep."""
    _owner(bench, signal.SIGKILL)


def _owner(bench: Bench, end: signal.Signals | None) -> None:
    mark, image = nonce(), bench.image
    with tempfile.TemporaryDirectory(prefix="owner-") as folder:
        process = _start_owner(image, mark, folder, "wait" if end else "end")
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline()
        same(first, "ready\n", "the first line" if first else process.stderr.read())
        if end:
            process.send_signal(end)
        returned(process.wait, LONG_S)
        process.stdout.close()
        process.stderr.close()
        until(lambda: not _on_the_host(mark), "no process of the dead owner's sandbox runs")
        if end is signal.SIGKILL:
            bench.another().sweep()
        until(lambda: not os.listdir(folder), "the temporary folder is empty")
    same([line for line in _mounts() if folder in line], [], "mounts")


def _start_owner(image: Image, mark: str, folder: str, mode: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", _OWNER, image.backend, image.ref, mark, mode]
    return subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": folder},
    )


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()


def _on_the_host(mark: str) -> bool:
    own = str(os.getpid())
    for file in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            line = Path(file).read_bytes()
        except OSError:
            continue
        if mark.encode() in line and file.split("/")[2] != own:
            return True
    return False


CHECKS = collect(dict(globals()))

"""Hand-made inversions of h11 that the cheats and the honest repairs work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cligym_env import gold as golds
from cligym_env import plugins, tasks
from cligym_env.core import Backend, Gold, Image, Inversion, Limits, Task

__all__ = ["COMMANDS", "Bench"]

SITE = "/opt/venv/lib/python3.11/site-packages"

COMMANDS = {
    # A comparison in the repository's own source: the file runs in the tests' process.
    "source": ("sed -i '/if b\"close\" in connection:/{n;s/False/True/}' /testbed/h11/_connection.py",),
    # Two sites, to be repaired one by one.
    "pair": (
        "sed -i '/if b\"close\" in connection:/{n;s/False/True/}' /testbed/h11/_connection.py",
        "sed -i 's/0\\\\r\\\\n/00\\\\r\\\\n/' /testbed/h11/_writers.py",
    ),
    # A hook that every start of the interpreter runs.
    "hook": (
        f"printf '%s\\n' 'import http.server; http.server.SimpleHTTPRequestHandler.do_GET = None'"
        f" > {SITE}/zz-speedups.pth",
    ),
    # Mode bits; the tests run as an ordinary user.
    "mode": (
        "chmod 600 /testbed/h11/_abnf.py; chown root:root /testbed/h11/_abnf.py;"
        " rm /testbed/h11/__pycache__/_abnf.*",
    ),
    # A file of the standard library.
    "stdlib": ("sed -i 's/def do_GET/def do_GOT/' /usr/lib/python3.11/http/server.py",),
    # The variables of every process.
    "variables": ("echo 'http_proxy=http://127.0.0.1:9' >> /etc/environment",),
    # A file of an installed distribution whose wheel lies in the wheelhouse.
    "wheel": (f"sed -i '1i raise ImportError' {SITE}/pytest_timeout.py",),
    # A module of the work folder that hides one of the standard library.
    "shadow": ("echo '# scratch, to be removed' > /testbed/http.py",),
    # A lock that somebody left.
    "lock": (
        "mkdir -p /var/lib/h11; echo 471 > /var/lib/h11/state.lock; chmod 600 /var/lib/h11/state.lock",
        "sed -i '/^def _keep_alive/i open(\"/var/lib/h11/state.lock\")' /testbed/h11/_connection.py",
    ),
    # Bytecode that is not of the source beside it.
    "bytecode": (
        "cd /usr/lib/python3.11/http && sed 's/def do_GET/def do_GOT/' server.py > /tmp/server.py"
        " && touch --reference=server.py /tmp/server.py && python3 -c 'import py_compile, sys;"
        ' py_compile.compile("/tmp/server.py", cfile="__pycache__/server.cpython-311.pyc",'
        ' dfile="/usr/lib/python3.11/http/server.py")\' && rm /tmp/server.py',
    ),
    # A link that is followed by the tests.
    "link": (
        "mv /testbed/h11/_version.py /testbed/h11/version.in && ln -s version.out /testbed/h11/_version.py",
    ),
}


@dataclass
class Bench:
    """Tasks of one back end, made when they are first asked for.

    Attributes:
        backend: where.
    """

    backend: Backend

    def __post_init__(self) -> None:
        self.gold: Gold = golds.load("h11")
        self.image: Image = golds.image(self.gold, self.backend)
        self.runner = plugins.create("runners", self.gold.runner)
        self._tasks: dict[str, Task] = {}

    def task(self, name: str) -> Task:
        """The task of a scenario."""
        if name not in self._tasks:
            self._tasks[name] = self._make(name, COMMANDS[name])
        return self._tasks[name]

    def _make(self, name: str, commands: tuple[str, ...]) -> Task:
        broken, pristine = self._start(), self._start()
        try:
            replayed = tasks.replay(commands, self.gold, broken)
            assert replayed.failed is None, replayed.reason(commands)
            paths = tasks.states(broken.freeze(), pristine.freeze(), inside=self._inside)
            image = broken.commit()
        finally:
            broken.close()
            pristine.close()
        sandbox = self.backend.start(image, Limits())
        try:
            result = self.runner.run(self.gold, sandbox, timeout_s=self.gold.timeout_s)
        finally:
            sandbox.close()
        failing = tuple(sorted(set(self.gold.passing) - result.passed))
        assert failing, f"scenario {name} breaks nothing"
        inversion = Inversion(self.gold.name, f"hand-{name}", "other", commands, (), "")
        return Task(
            id=tasks.task_id(inversion),
            inversion=inversion,
            seed=0,
            fail_to_pass=failing,
            n_pass_to_pass=len(self.gold.passing) - len(failing),
            paths=paths,
            symptoms="",
            split="train",
            gold_hash=self.gold.content_hash,
        )

    def _start(self):
        return self.backend.start(self.image, Limits())

    def _inside(self, path: str) -> Sequence[str]:
        sandbox = self._start()
        try:
            found = sandbox.exec(["/usr/bin/find", path, "-mindepth", "1", "-print0"], timeout_s=300)
            return [name for name in found.output.decode().split("\0") if name]
        finally:
            sandbox.close()

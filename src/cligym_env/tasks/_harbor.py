"""The parts of a Harbor task folder that other people's tools read (its documented schema 1.4).

The Dockerfile is an export of the same command list that ``image`` replays, never the mechanism.
``tests/test.sh`` judges in place, as that format wants it; whoever needs a reward that cannot be
faked uses this library's own verifier.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from cligym_env import environ
from cligym_env.core import Gold, Task
from cligym_env.gold import base
from cligym_env.tasks._instruction import test_command
from cligym_env.tasks._table import digest

__all__ = ["COMPOSE", "SCHEMA_VERSION", "dockerfile", "header", "solve_script", "test_script"]

SCHEMA_VERSION = "1.4"

COMPOSE = """\
services:
  main:
    network_mode: none
    init: true
    stop_grace_period: 1s
"""

_AUTHOR = "-c user.name=upstream -c user.email=upstream@localhost"
_AGENT_TIMEOUT_S = 1800.0
_BUILD_TIMEOUT_S = 1800.0


def header(task: Task, gold: Gold) -> dict[str, Any]:
    """Give the tables of ``task.toml`` that are Harbor's own.

    The network is closed by the compose file: ``no-network`` here is refused on hosts that
    cannot pull the probe image.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "artifacts": [],
        "task": {
            "name": f"cligym/{task.id}",
            "description": f"Repair the environment of {gold.name}.",
            "keywords": [task.category, gold.name, gold.language],
        },
        "metadata": {"category": task.category, "licence": gold.licence},
        "agent": {"timeout_sec": _AGENT_TIMEOUT_S},
        "verifier": {"timeout_sec": max(600.0, 2 * gold.timeout_s), "environment_mode": "shared"},
        "environment": {
            "build_timeout_sec": _BUILD_TIMEOUT_S,
            "cpus": 1,
            "memory_mb": 2048,
            "network_mode": "public",
            "workdir": gold.workdir,
        },
    }


def solve_script(task: Task, gold: Gold) -> str:
    """Give ``solution/solve.sh``: the task's own solution, in one shell."""
    return "\n".join(["#!/bin/bash", f"cd {shlex.quote(gold.workdir)}", *task.inversion.solution, ""])


# ── Dockerfile ──────────────────────────────────────────────────────────────────────────────


def _run(*lines: str) -> str:
    """One RUN in exec form: JSON keeps every character, and no builder expands anything in it."""
    return "RUN " + json.dumps(["/bin/bash", "-ec", "\n".join(lines)], ensure_ascii=False)


def dockerfile(task: Task, gold: Gold) -> str:
    """Give ``environment/Dockerfile``: the gold from Debian's and Python's packages, then the inversion."""
    packages = " ".join(sorted({*base.PACKAGES, *gold.system_packages}))
    steps = [
        "FROM debian:bookworm-slim",
        _environ({**environ.BASE, **gold.environ}),
        _run(
            "apt-get update",
            f"DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {packages}",
            "rm -rf /var/lib/apt/lists/*",
            r"printf 'en_US.UTF-8 UTF-8\nde_DE.UTF-8 UTF-8\n' > /etc/locale.gen && locale-gen",
            "useradd -m -u 1000 -s /bin/bash dev && install -d -o dev /testbed",
            "python3 -m venv /opt/venv && mkdir -p /opt/wheelhouse",
            "git config --system safe.directory '*'",
        ),
        *_packages(gold),
        _source(gold),
        f"WORKDIR {gold.workdir}",
        *(_run(command) for command in gold.install),
        _run(
            "git init -q",
            r"printf '%s\n' '__pycache__/' '*.py[cod]' '*.so' '*.egg-info/' > .git/info/exclude",
            f"git add -A && git {_AUTHOR} commit -q -m Import && rm -rf .git/logs",
            f"chown -hR {gold.user}: .",
            "python -m compileall -q /opt/venv . || true",
        ),
        _run(*task.inversion.commands, *_sealing(task, gold)),
    ]
    return "\n".join([*steps, ""])


def _environ(variables: Mapping[str, str]) -> str:
    return "ENV " + " ".join(f"{key}={json.dumps(value)}" for key, value in variables.items())


def _packages(gold: Gold) -> Iterable[str]:
    if gold.requirements or gold.wheelhouse:
        every = (*gold.requirements, *gold.wheelhouse)
        yield _run(
            f"for wheel in {shlex.join(every)}; do pip wheel -q --no-deps -w /opt/wheelhouse $wheel; done",
            f"pip install -q --no-deps --no-index -f /opt/wheelhouse {shlex.join(gold.requirements)}",
            r"printf '[global]\nno-index = true\nfind-links = /opt/wheelhouse\n' > /etc/pip.conf",
        )


def _source(gold: Gold) -> str:
    source, workdir = gold.source, shlex.quote(gold.workdir)
    check = f"echo '{source.sha256}  '$archive | sha256sum -c -"
    unpack = f"tar -xf $archive -C {workdir} --strip-components 1"
    if source.kind == "pypi":
        fetch = (
            f"PIP_NO_INDEX=0 pip download -q --no-deps --no-binary :all: {source.name}=={source.version}"
        )
    elif source.kind == "npm":
        fetch = f"npm pack {source.name}@{source.version}"
    elif source.kind == "git":
        return _run(
            f"git clone -q {source.name} {workdir}",
            f"cd {workdir}",
            f"git checkout -q {source.version}",
            "rm -rf .git",
        )
    elif source.kind == "debian":
        fetch = (
            "sed -i 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/*; apt-get update; "
            f"apt-get source --download-only {source.name}={source.version}"
        )
    else:
        return f"COPY {source.name} {gold.workdir}"
    pick = "archive=$(ls -S *.tar.* *.tgz *.zip 2>/dev/null | grep -v debian.tar | head -n 1)"
    return _run("cd $(mktemp -d)", fetch, pick, check, unpack, f"chown -R {gold.user} {workdir}")


def _sealing(task: Task, gold: Gold) -> Iterable[str]:
    """The commands' traces of gold go here as they go in ``seal``."""
    for state in task.paths:
        folder, _, name = state.path.rpartition("/")
        if name.endswith(".py"):
            yield f"rm -f {shlex.quote(folder)}/__pycache__/{shlex.quote(name[:-3])}.*.pyc"
    if any(state.path.startswith(gold.workdir + "/") for state in task.paths):
        yield f"cd {shlex.quote(gold.workdir)}; git add -A"
        yield f"git {_AUTHOR} commit -q --amend --no-edit --allow-empty"
        yield "rm -rf .git/logs; git gc -q --prune=now; chown -R --reference=. .git"


# ── tests ───────────────────────────────────────────────────────────────────────────────────

# A login's variables: test.sh is no login shell, and an inversion may live in that file.
_LOGIN = """\
while IFS= read -r line; do
    line=${line#export }; value=${line#*=}; value=${value#[\\"\']}; value=${value%[\\"\']}
    [[ $line =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] && export "${line%%=*}=$value"
done < /etc/environment
"""

_PYTEST = """\
plugins=$(mktemp -d)
cat > "$plugins/cligym_record.py" <<'END'
import json, os
seen = {}
def pytest_runtest_logreport(report):
    seen.setdefault(report.nodeid, []).append(report.outcome == "passed")
def pytest_sessionfinish():
    with open(os.environ["CLIGYM_RECORD"], "w") as stream:
        json.dump(sorted(name for name, all_ in seen.items() if len(all_) == 3 and all(all_)), stream)
END
chmod -R a+rX "$plugins"
record=$(mktemp -d); chmod 777 "$record"
export CLIGYM_RECORD="$record/passed.json" PYTHONPATH="$plugins${PYTHONPATH:+:$PYTHONPATH}"
"""


def test_script(task: Task, gold: Gold) -> str:
    """Give ``tests/test.sh``: runs the suite in place and writes the reward last.

    All tests of the gold's passing set have to pass, fail-to-pass and pass-to-pass alike. The
    set is compared by its size and hash, for its names alone can be larger than a task may be.
    """
    command = test_command(gold)
    if gold.runner == "pytest":
        judge = _judge_ids(gold)
        command = command.replace("-m pytest", "-m pytest -p cligym_record")
        prepare = _PYTEST
    else:
        judge = "reward=$([ $status = 0 ] && echo 1 || echo 0)"
        prepare = ""
    return (
        "#!/bin/bash\n"
        f"# Judged in place: {len(task.fail_to_pass)} fail to pass, {task.n_pass_to_pass} guard.\n"
        f"cd {shlex.quote(gold.workdir)}\nmkdir -p /logs/verifier\n{_LOGIN}{prepare}"
        f"{command} > /logs/verifier/output.txt 2>&1; status=$?\n{judge}\n"
        'echo "{\\"reward\\": ${reward:-0}}" > /logs/verifier/.reward\n'
        "mv /logs/verifier/.reward /logs/verifier/reward.json\n"
    )


def _judge_ids(gold: Gold) -> str:
    return (
        "reward=$(env -i /usr/bin/python3 -I - \"$CLIGYM_RECORD\" <<'END'\n"
        "import hashlib, json, sys\n"
        "try:\n"
        "    passed = json.load(open(sys.argv[1]))\n"
        "except (OSError, ValueError):\n"
        "    passed = []\n"
        'text = "".join(name + "\\n" for name in sorted(passed))\n'
        f'print(int(hashlib.sha256(text.encode()).hexdigest() == "{digest(gold.passing)}"))\n'
        "END\n)"
    )

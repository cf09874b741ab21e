"""A small gold and a task of it, for tests that start no sandbox."""

from __future__ import annotations

from dataclasses import replace

from cligym_env import tasks
from cligym_env.core import Entry, Gold, Inversion, PathState, Source, Task

GOLD = Gold(
    name="h11",
    source=Source("pypi", "h11", "0.16.0", "4" * 64),
    licence="MIT",
    requirements=("pytest==9.0.2",),
    install=("pip install --no-build-isolation --no-deps -e .",),
    test_args=("h11",),
    environ={"TZ": "UTC"},
    passing=tuple(f"h11/tests/test_io.py::test_{n}[a b]" for n in range(400)),
    content_hash="c" * 64,
)

SOURCE = "/testbed/h11/_readers.py"

INVERSION = Inversion(
    gold="h11",
    family="source-logic",
    category="source-logic",
    commands=(
        "sed -i 's/return a < b/return a <= b/' h11/_readers.py",
        "printf '%s\\n' 'ünï \"$x\"' >> h11/_readers.py",
    ),
    solution=("sed -i 's/return a <= b/return a < b/' h11/_readers.py",),
    hint="A comparison in a parser is off by one.",
    parameters={"line": "17"},
)

PATHS = (
    PathState("/etc/locale.conf", Entry("absent"), Entry("link", target="/nowhere at all")),
    PathState("/opt/data", Entry("dir", 0o755, 0, 0), Entry("dir", 0o700, 1000, 1000)),
    PathState(
        SOURCE,
        Entry("file", 0o644, 1000, 1000, 900, sha256="a" * 64),
        Entry("file", 0o644, 1000, 1000, 901, sha256="b" * 64),
    ),
)


def task(inversion: Inversion = INVERSION, **changes: object) -> Task:
    """A whole task; changes replace its fields."""
    name = tasks.task_id(inversion)
    made = Task(
        id=name,
        inversion=inversion,
        seed=3,
        fail_to_pass=GOLD.passing[:2],
        n_pass_to_pass=398,
        paths=PATHS,
        symptoms="AssertionError: assert 3 == 4\nValueError: \"quoted\" and 'quoted' \\ back\tslash ü",
        split=tasks.split_of(name),
        gold_hash="c" * 64,
        gates={"gold": "400 pass", "noop": "0"},
        version="0.1.0",
    )
    return replace(made, **changes)  # type: ignore[arg-type]

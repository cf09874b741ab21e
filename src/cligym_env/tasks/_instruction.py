"""What a policy is told: symptoms from the real failure output, never the cause.

Three levels of guidance, each with and without the hint (arXiv 2602.10999, section 3.3):

* 0, one line of what was seen;
* 1, the symptoms and how to run the tests;
* 2, also which tests fail and in which area to look.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from cligym_env import plugins
from cligym_env.core import Gold, Inversion, PathState, Task
from cligym_env.errors import UsageError

__all__ = ["GUIDANCE", "failures", "instruction", "leaks", "scrub", "test_command"]

GUIDANCE = (0, 1, 2)

MAX_SYMPTOM_LINES = 12
MAX_LINE_CHARS = 200
_N_NAMED_TESTS = 10

# Names too common to point at anything: that they occur in a text says nothing about the cause.
_COMMON = frozenset(
    (
        *("__init__.py", "__main__.py", "setup.py", "python", "python3", "python3.11", "main", "core"),
        *("site-packages", "dist-packages", "x86_64-linux-gnu", "bin", "lib", "share", "local", "usr"),
        *("opt", "etc", "src", "home", "root", "tests", "test", "testing", "utils", "io"),
    )
)
_MIN_NAME_CHARS = 4
_MIN_COMMAND_CHARS = 12

_AREAS = {
    "file-system": "files, links, owners and modes on the disk",
    "infrastructure": "the system below the repository: libraries, loader, locale, time zone, tools",
    "dependencies-runtime": "installed packages, their versions, and the Python that runs them",
    "network-security": "name resolution, certificates and trust",
    "source-logic": "the repository's own source",
    "compatibility": "versions and formats that have to fit each other",
    "concurrency": "locks, limits, and processes that wait for each other",
    "other": "configuration of the system and of the tools the tests use",
}

_RAISED = re.compile(r"E\s+\S")
_TELLING = re.compile(
    r"^(FATAL|\S*Error\b|\S*Exception\b)|: error:|\b\w+Error: |not found|cannot |No such "
    r"|error while |\*\*\*|\(Failed\)|\(Not Run\)"
)
_COUNTS = re.compile(r"\d+ (passed|failed|skipped|error)|tests failed out of")
_MILD = re.compile(r"Warning: |Enable tracemalloc|https?://|^E\s+(Use -v|Omitting|\^+$)")
_PROGRESS = re.compile(r"[.sxXFERPp]+(\s*\[ *\d+%\])?")
_TIMES = re.compile(r" in \d+\.\d+s( \(\d+:\d+:\d+\))?$| +\d+\.\d+ sec$")
_TEST_LINE = re.compile(r"^(FAILED|ERROR) ")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd\t]")


_SUITE_ARGS = ("-q", "-p", "no:cacheprovider", "-o", "addopts=", "--continue-on-collection-errors")


def test_command(gold: Gold) -> str:
    """Give the shell line with which a person, or a policy, runs the suite as the test user.

    Args:
        gold: its runner may have a ``command(gold)`` of its own, without directory and user.
    """
    own = getattr(plugins.create("runners", gold.runner), "command", None)
    if own is not None:
        inner = str(own(gold))
    elif gold.runner == "ctest":
        build, *options = gold.test_args or (".",)
        inner = shlex.join(["ctest", "--test-dir", build, "--output-on-failure", *options])
    else:
        inner = shlex.join(["python", "-m", gold.runner, *_SUITE_ARGS, *gold.test_args])
    line = f"cd {shlex.quote(gold.workdir)} && {inner}"
    return line if gold.user == "root" else f"runuser {gold.user} -c {shlex.quote(line)}"


# ── symptoms ────────────────────────────────────────────────────────────────────────────────


def failures(log: str) -> str:
    """Pick the telling lines out of a failing run's output, each once, in the order printed.

    Args:
        log: what the run printed.

    Returns:
        At most ``MAX_SYMPTOM_LINES`` lines of at most ``MAX_LINE_CHARS``; the last lines of the
        output where none is telling; a plain sentence where there is no output at all.
    """
    lines = [_CONTROL.sub("", line).rstrip() for line in log.splitlines()]
    lines = [_TIMES.sub("", line) for line in lines if not _PROGRESS.fullmatch(line)]
    told = _told(lines)
    chosen: list[str] = []
    for line in told:
        short = _shorten(re.sub(r"^E\s+", "", line).strip())
        if short and short not in chosen:
            chosen.append(short)
    return "\n".join(chosen[:MAX_SYMPTOM_LINES]) or "The run ends without a word."


def _told(lines: Sequence[str]) -> list[str]:
    """The lines of the most telling kind that there is."""
    kinds = (
        [line for line in lines if _RAISED.match(line) and not _MILD.search(line)],
        [line for line in lines if _TELLING.search(line) and not _MILD.search(line)],
        [line for line in lines if _RAISED.match(line) or _TEST_LINE.search(line)],
        [line.strip("= ") for line in lines if _COUNTS.search(line)][-1:],
        [line for line in lines if line.strip()][-MAX_SYMPTOM_LINES:],
    )
    return next((kind for kind in kinds if kind), [])


def _shorten(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else line[: MAX_LINE_CHARS - 1] + "…"


def scrub(text: str, inversion: Inversion, paths: Sequence[PathState]) -> str:
    """Take out of a text what would name the cause: changed files, and text of the commands."""
    for pattern in _secrets(inversion, paths):
        text = pattern.sub("…", text)
    return text


def leaks(text: str, inversion: Inversion, paths: Sequence[PathState]) -> tuple[str, ...]:
    """Find what in a text names the cause: a changed file's name, or text of a command."""
    found = (pattern.search(text) for pattern in _secrets(inversion, paths))
    return tuple(sorted({match.group() for match in found if match}))


def _secrets(inversion: Inversion, paths: Sequence[PathState]) -> list[re.Pattern[str]]:
    words: set[str] = set()
    for state in paths:
        words |= _names(state, inversion.gold)
    words |= set(_command_texts(inversion.commands))
    # The longest first: a path is taken out whole, not piece by piece.
    return [_pattern(word) for word in sorted(words, key=lambda word: (-len(word), word))]


def _pattern(word: str) -> re.Pattern[str]:
    if word.endswith(".so"):  # libyaml-0.so stands for libyaml-0.so.2 and its links as well
        stem = re.escape(word.removesuffix(".so"))
        return re.compile(rf"(?<![\w.-])[\w./+-]*(?<![\w-]){stem}(\.[\w-]+)?\.so[\w.]*")
    return re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")


def _names(state: PathState, gold: str) -> set[str]:
    """The forms in which a text may name a path: whole, its last two parts, its file name."""
    parts = state.path.strip("/").split("/")
    names = {state.path}
    if len(parts) > 1:
        names.add("/".join(parts[-2:]))
    last = parts[-1]
    folder = "dir" in (state.gold.kind, state.broken.kind)
    # A plain word (environment, group) says nothing by itself.
    telling = last not in _COMMON and last != gold and not last.isalpha()
    if not folder and telling and len(last) >= _MIN_NAME_CHARS:
        names.add(last)
        if ".so" in last:
            names.add(re.split(r"\.cpython-|\.abi3|\.so", last)[0] + ".so")
    return names


def _command_texts(commands: Iterable[str]) -> Iterable[str]:
    for command in commands:
        for line in command.splitlines():
            if len(line.strip()) >= _MIN_COMMAND_CHARS:
                yield line.strip()


# ── the text ────────────────────────────────────────────────────────────────────────────────


def instruction(task: Task, gold: Gold, *, guidance: int = 1, hint: bool = False) -> str:
    """Give the issue text of a task.

    Args:
        task: the task.
        gold: its gold.
        guidance: 0, a terse symptom; 1, the symptoms and how to run the tests; 2, also which
            tests fail and in which area to look.
        hint: add the sentence that points at the cause.

    Raises:
        UsageError: there is no such level of guidance.
    """
    if guidance not in GUIDANCE:
        raise UsageError(f"guidance is one of 0, 1, 2, not {guidance!r}")
    parts = [_opening(task, gold), _symptoms(task, guidance)]
    if guidance >= 1:
        parts.append(f"Run the tests with:\n\n    {test_command(gold)}")
    if guidance >= 2:
        parts += [_failing(task), f"Look at {_AREAS[task.category]}."]
    if hint:
        parts.append(f"Hint: {task.inversion.hint}")
    return "\n\n".join([*parts, _rules(gold)])


def _opening(task: Task, gold: Gold) -> str:
    version = f" {gold.source.version}" if gold.source.version and gold.source.kind != "git" else ""
    count = len(task.fail_to_pass)
    # What fails may also be skipped, or not be there any more.
    tests = "one of its tests does not pass" if count == 1 else f"{count} of its tests do not pass"
    return (
        f"The test suite of {gold.name}{version} in {gold.workdir} used to pass on this machine. "
        f"Now {tests}. Find out why, and repair the environment."
    )


def _symptoms(task: Task, guidance: int) -> str:
    lines = task.symptoms.splitlines()
    if guidance == 0:
        return f"What was seen: {lines[0] if lines else 'the run fails'}"
    return "What the failing run says, among other things:\n\n" + "\n".join(f"    {line}" for line in lines)


def _failing(task: Task) -> str:
    named = task.fail_to_pass[:_N_NAMED_TESTS]
    lines = [f"    {_shorten(_CONTROL.sub('', scrub(name, task.inversion, task.paths)))}" for name in named]
    more = len(task.fail_to_pass) - len(named)
    if more:
        lines.append(f"    and {more} more")
    return "These tests do not pass:\n\n" + "\n".join(lines)


def _rules(gold: Gold) -> str:
    who = "" if gold.user == "root" else f", and the tests run as the user {gold.user}"
    return (
        f"You have a root shell without network{who}. Only what is on the disk in the end counts: "
        "variables, running processes and temporary files are gone when the tests are run. Tests and "
        "their configuration are taken from the original, so changing them does not help. "
        "When the environment is repaired, send the single word submit; that ends the episode."
    )

"""The rules of the house: what is public, what an import does, how large things are, what tools say."""

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cligym_env import plugins

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "cligym_env"
PUBLIC_NAMES = Path(__file__).with_name("public_names.txt")

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40
CODE = [file for folder in ("src", "bench", "training") for file in sorted((ROOT / folder).rglob("*.py"))]

HEAVY = {
    *("accelerate", "datasets", "docker", "openai", "pandas", "pyarrow", "requests", "rich", "tomlkit"),
    *("torch", "transformers", "trl", "typer", "pypi_simple", "pytest"),
}
"""What ``import cligym_env`` must not bring in: extras, and what a command or a back end needs."""

TEXT = {".md", ".py", ".toml", ".txt", ".sh", ".yml", ".yaml", ".cfg", ".json", ""}


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def public_modules() -> Iterator[str]:
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).parts
        if not any(part.startswith("_") and part != "__init__.py" for part in parts):
            yield module_name(file)


PLUG_IN = (["create"], ["app"])
"""What a module exports that is found by listing its folder: adding one edits no list."""


def asserted() -> dict[str, list[str]]:
    lines = PUBLIC_NAMES.read_text(encoding="utf-8").splitlines()
    return {module: names.split() for module, _, names in (line.partition(":") for line in lines)}


def declared(module: str) -> list[str]:
    """The module's ``__all__``, read without importing it: extras may be missing."""
    base = PACKAGE.parent.joinpath(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))
    return []


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


# ── names ───────────────────────────────────────────────────────────────────────────────────


def test_public_names_are_the_asserted_ones() -> None:
    assert found_names() == asserted(), "meant? then: python tests/test_house.py"


@pytest.mark.parametrize("module", sorted(asserted()))
def test_public_names_exist(module: str) -> None:
    names = asserted()[module]
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name)), (
        "order"
    )
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cligym_env"):
            raise
        pytest.skip(f"{module} needs {error.name}, which is not installed")
    assert [name for name in names if not hasattr(found, name)] == []


def test_public_names_use_our_nouns() -> None:
    wrong = re.compile(r"attack|corrupt|f2p|p2p|mutant|query|evaluator|grader|docker_env", re.IGNORECASE)
    assert [name for names in asserted().values() for name in names if wrong.search(name)] == []


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_every_plugin_is_made_by_create(kind: str) -> None:
    for file in sorted((PACKAGE / kind).rglob("*.py")):
        if any(part.startswith("_") for part in file.relative_to(PACKAGE / kind).parts):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        names |= {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        assert "create" in names, file


# ── imports ─────────────────────────────────────────────────────────────────────────────────


def test_import_has_no_side_effects(tmp_path: Path) -> None:
    script = (
        "import sys, threading, os\n"
        "import gymnasium\n"  # has side effects of its own
        "before = dict(os.environ)\n"
        "import cligym_env\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert dict(os.environ) == before\n"
        "print('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout.count("\n") > 10, done.stderr) == (True, "")
    assert set(done.stdout.split()) & HEAVY == set()
    assert list(tmp_path.iterdir()) == []


def test_import_adds_little_to_gymnasium() -> None:
    """Half a second is the bar; seconds are not asserted, the modules that cost them are."""
    count = "import sys; n = len(sys.modules); import cligym_env; print(len(sys.modules) - n)"
    done = run("-c", f"import gymnasium, numpy; {count}")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 120


def test_help_imports_no_command() -> None:
    script = (
        "import sys, contextlib\n"
        "from cligym_env.cli import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['--help'])\n"
        "print(sorted(m for m in sys.modules if m.startswith('cligym_env.cli.')), file=sys.stderr)\n"
        "print('torch' in sys.modules, 'docker' in sys.modules, file=sys.stderr)\n"
    )
    assert run("-c", script).stderr.splitlines() == ["[]", "False False"]


# ── sizes ───────────────────────────────────────────────────────────────────────────────────


def test_modules_are_small() -> None:
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in CODE}
    assert {str(file): n for file, n in lines.items() if n >= MAX_MODULE_LINES} == {}


def test_functions_are_small() -> None:
    long = {}
    for file in CODE:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                # The body: a command's signature is its table of options, and may be long.
                body = node.body[1:] if ast.get_docstring(node) else node.body
                n_lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if n_lines > MAX_FUNCTION_LINES:
                    long[f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"] = n_lines
    assert long == {}


# ── tools ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "arguments",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("interrogate", "-q", "src", "bench", "training"),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_tools_agree(arguments: tuple[str, ...]) -> None:
    done = run("-m", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_imports_go_downwards() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_plugins_never_import_each_other() -> None:
    """A plug-in may use the private modules beside it, never another plug-in."""
    for kind in plugins.KINDS:
        for file in sorted((PACKAGE / kind).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                    f"cligym_env.{kind}."
                ):
                    parts = (node.module or "").split(".")[2:]
                    names = [alias.name for alias in node.names]
                    private = any(part.startswith("_") for part in parts)
                    private = private or all(name.startswith("_") for name in names)
                    assert private, f"{file}: {node.module}"


# ── what may not stand in a file ────────────────────────────────────────────────────────────


def texts() -> Iterator[tuple[Path, str]]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    names = done.stdout.decode().split("\0") if done.returncode == 0 else []
    files = [ROOT / name for name in names if name] or [
        file for folder in ("src", "tests", "bench", "docs", "envs") for file in (ROOT / folder).rglob("*")
    ]
    for file in files:
        if file.suffix in TEXT and file.is_file() and file.stat().st_size < 4 << 20:
            yield file, file.read_text(encoding="utf-8", errors="replace")


def test_no_registry_and_no_path_of_a_machine_is_named() -> None:
    hosts = [
        "files.pythonhosted" + ".org",
        "registry.npmjs" + ".org",
        "deb.debian" + ".org",
        "pypi" + ".org",
    ]
    hosts += re.findall(
        r"https?://(?:[^/@\s'\"]*@)?([^/\s'\":]+)", run("-m", "pip", "config", "list").stdout
    )
    for listed in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")):
        if listed.is_file():
            hosts += re.findall(r"https?://(?:[^/@\s]*@)?([^/\s:]+)", listed.read_text(errors="replace"))
    hosts = [host for host in hosts if host not in ("localhost", "127.0.0.1")]
    wrong = re.compile("|".join(map(re.escape, [*hosts, "/" + "work/"])))
    found = {str(file.relative_to(ROOT)): hit[0] for file, text in texts() if (hit := wrong.search(text))}
    assert found == {}


def found_names() -> dict[str, list[str]]:
    found = {module: declared(module) for module in public_modules()}
    return {module: names for module, names in found.items() if names and names not in PLUG_IN}


def write_public_names() -> None:
    lines = [f"{module}: {' '.join(names)}\n" for module, names in found_names().items()]
    PUBLIC_NAMES.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write_public_names()

"""Real golds on real back ends: built from their recipes, equal everywhere, honest about failures."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cligym_env import environ, plugins
from cligym_env import gold as golds
from cligym_env.core import Backend, Gold, Image, Limits, Sandbox, SuiteResult
from cligym_env.errors import GoldError, ImageError
from cligym_env.gold import _build, lock

SMALL = ("h11", "markupsafe", "cjson")

LOCAL = """
requirements = [
    "iniconfig==2.3.1", "packaging==26.4", "pluggy==1.7.0", "pygments==2.21.0", "pytest==9.2.0",
]
{install}
[source]
kind = "local"
name = "repository"
[test]
args = ["tests"]
timeout_s = 120
"""


def image(gold: Gold, backend: Backend) -> Image:
    try:
        return golds.image(gold, backend)
    except ImageError as error:
        if "does not answer" in str(error) or "apt failed" in str(error):
            pytest.skip(f"NO NETWORK, {gold.name} cannot be built: {error}")
        raise


def local(folder: Path, tests: str, name: str = "sample", install: str = "") -> Path:
    repository = folder / "repository"
    (repository / "tests").mkdir(parents=True)
    (repository / "tests" / "test_all.py").write_text(tests)
    recipe = folder / f"{name}.toml"
    recipe.write_text(LOCAL.format(install=install))
    return recipe


# ── shipped golds ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SMALL)
def test_a_full_build_gives_the_shipped_lock(name: str, real_backend: Backend, tmp_path: Path) -> None:
    shipped = golds.load(name)
    image(shipped, real_backend)
    recipe = tmp_path / f"{name}.toml"
    shutil.copy(golds.recipe_file(name), recipe)
    # With the shipped lock beside it, the build must find what was found on every other back end.
    shutil.copy(lock.path(golds.recipe_file(name)), lock.path(recipe))
    built = golds.build(str(recipe), real_backend, progress=lambda line: None)
    assert built.passing == shipped.passing
    assert built.content_hash == shipped.content_hash
    written = lock.read(recipe)
    assert written is not None
    runs = written.backends[real_backend.name]
    assert (runs.n_runs, runs.n_passed, len(runs.seconds)) == (5, len(shipped.passing), 5)
    assert written.flaky == ()


@pytest.mark.parametrize("name", SMALL)
def test_the_image_is_in_order(name: str, real_backend: Backend) -> None:
    gold = golds.load(name)
    sandbox = real_backend.start(image(gold, real_backend))

    def ask(command: str, user: str = "root") -> str:
        variables = environ.of(gold, sandbox, user=user)
        result = sandbox.exec(command, timeout_s=300, user=user, cwd=gold.workdir, environ=variables)
        assert result.exit_code == 0, result.text
        return result.text.strip()

    try:
        assert ask("git log --format=%an | wc -l") == "1"
        assert ask("git status --porcelain") == ""
        assert ask("git status --porcelain", "dev") == ""
        assert ask("stat -c %U . .git") == "dev\ndev"
        assert ask("find . ! -user dev | head -3") == ""
        assert ask("cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | wc -c") == "0"
        assert ask("ls -A /tmp /root/.cache 2>/dev/null | grep -v :$ | grep -v '^$' | wc -l") == "0"
        assert ask("stat -c %U /opt/venv/bin/pip /opt/wheelhouse") == "root\nroot"
        assert ask("locale -a | grep -c -i -E '^(en_US|de_DE).utf-?8$'") == "2"
        stale = (
            "import importlib.util as u, pathlib, struct, sys\n"
            "for p in pathlib.Path('/opt/venv/lib').rglob('*.py'):\n"
            "    c = pathlib.Path(u.cache_from_source(str(p)))\n"
            "    if c.exists():\n"
            "        noted = struct.unpack('<3I', c.read_bytes()[4:16])[1]\n"
            "        print(p) if noted != int(p.stat().st_mtime) else None\n"
        )
        assert ask(f'/opt/venv/bin/python -c "{stale}"') == ""
    finally:
        sandbox.close()


def test_wheels_install_offline(real_backend: Backend) -> None:
    gold = golds.load("h11")
    sandbox = real_backend.start(image(gold, real_backend))
    try:
        variables = environ.of(gold, sandbox, user="root")
        for command in (
            "pip install --quiet h11==0.14.0",
            "python -c 'import h11; assert h11.__version__ == \"0.14.0\"'",
            "pip install --quiet --no-build-isolation --no-deps --editable /testbed",
            "python -c 'import h11; assert h11.__version__ == \"0.16.0\"'",
        ):
            result = sandbox.exec(command, timeout_s=240, environ=variables)
            assert result.exit_code == 0, result.text
    finally:
        sandbox.close()


# ── repositories that are no gold ───────────────────────────────────────────────────────────


class Turning:
    """A runner that tells the repository which run of its suite this is."""

    name = "pytest"

    def __init__(self) -> None:
        self.real = plugins.create("runners", "pytest")
        self.turn = 0

    def run(
        self, gold: Gold, sandbox: Sandbox, *, timeout_s: float, only: Sequence[str] = ()
    ) -> SuiteResult:
        self.turn += 1
        sandbox.write("/testbed/turn", str(self.turn).encode())
        return self.real.run(gold, sandbox, timeout_s=timeout_s, only=only)


def test_flaky_tests_leave_the_set(
    real_backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(golds.load("h11"), real_backend)
    recipe = local(
        tmp_path,
        "from pathlib import Path\n"
        "def test_steady(): pass\n"
        "def test_flaky(): assert Path('/testbed/turn').read_text() != '4'\n",
    )
    turning = Turning()
    monkeypatch.setattr(
        _build, "plugins", type("Plugins", (), {"create": staticmethod(lambda *_: turning)}), raising=True
    )
    built = golds.build(str(recipe), real_backend, progress=lambda line: None)
    assert built.passing == ("tests/test_all.py::test_steady",)
    written = lock.read(recipe)
    assert written is not None
    assert written.flaky == ("tests/test_all.py::test_flaky",)


def test_a_failing_suite_names_its_tests(real_backend: Backend, tmp_path: Path) -> None:
    image(golds.load("h11"), real_backend)
    recipe = local(tmp_path, "def test_good(): pass\ndef test_bad(): assert 1 == 2\n")
    with pytest.raises(GoldError, match="fails") as caught:
        golds.build(str(recipe), real_backend, n_runs=2, progress=lambda line: None)
    assert caught.value.tests == ("tests/test_all.py::test_bad",)
    assert lock.read(recipe) is None
    assert real_backend.find(_build.tag(golds.load(str(recipe)))) is None


def test_a_failing_step_says_which(real_backend: Backend, tmp_path: Path) -> None:
    image(golds.load("h11"), real_backend)
    recipe = local(tmp_path, "", install='install = ["true", "echo the reason; exit 3"]')
    with pytest.raises(GoldError, match="`echo the reason; exit 3`: exit code 3: the reason"):
        golds.build(str(recipe), real_backend, progress=lambda line: None)
    assert not list(tmp_path.glob("*.json"))


def test_steps_have_no_network(real_backend: Backend, tmp_path: Path) -> None:
    image(golds.load("h11"), real_backend)
    look = "python -c \\\"import socket; socket.create_connection(('203.0.113.1', 80), 5)\\\""
    recipe = local(tmp_path, "", install=f'install = ["! {look}", "exit 7"]')
    with pytest.raises(GoldError, match="exit 7"):
        golds.build(str(recipe), real_backend, progress=lambda line: None)


def test_a_gold_without_a_lock_has_no_image(real_backend: Backend, tmp_path: Path) -> None:
    gold = golds.load(str(local(tmp_path, "def test_good(): pass\n")))
    with pytest.raises(GoldError, match="cligym gold build sample"):
        golds.image(gold, real_backend)


def test_an_image_that_does_not_pass_as_its_lock_says(real_backend: Backend, tmp_path: Path) -> None:
    image(golds.load("h11"), real_backend)
    recipe = local(tmp_path, "def test_good(): pass\n")
    unlocked = golds.load(str(recipe))
    claimed = lock.Lock(_build.recipe.digest(unlocked), ("tests/test_all.py::test_absent",))
    lock.write(recipe, claimed)
    with pytest.raises(GoldError, match="does not pass on") as caught:
        golds.image(golds.load(str(recipe)), real_backend, progress=lambda line: None)
    assert caught.value.tests == ("tests/test_all.py::test_absent",)
    assert real_backend.find(_build.tag(unlocked)) is None


def test_a_killed_build_leaves_nothing_half_made(real_backend: Backend, tmp_path: Path) -> None:
    image(golds.load("h11"), real_backend)
    recipe = local(tmp_path, "def test_good(): pass\n", install='install = ["sleep 600"]')
    program = (
        "import sys\nfrom cligym_env import gold, plugins\n"
        f"backend = plugins.create('backends', {real_backend.name!r})\n"
        f"gold.build({str(recipe)!r}, backend, progress=lambda line: print(line, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "sleep 600" in line:
                break
        os.kill(process.pid, signal.SIGKILL)
    gold = golds.load(str(recipe))
    assert real_backend.find(_build.tag(gold)) is None
    assert not list(tmp_path.glob("*.json"))
    # The lock died with its holder: the same gold can be tried again at once.
    recipe.write_text(recipe.read_text().replace("sleep 600", "true"))
    assert golds.build(str(recipe), real_backend, n_runs=1, progress=lambda line: None).passing


# ── system packages, locks ────────────────────────────────────────────────────────────────────────────────


def test_packages_are_installed_on_lent_sources(real_backend: Backend) -> None:
    """The layer of a gold with system packages holds the package and no source of packages."""
    gold = golds.load("cjson")
    sandbox = real_backend.start(image(gold, real_backend), Limits())
    try:
        assert sandbox.exec("cmake --version", timeout_s=300).exit_code == 0
        leftovers = sandbox.exec(
            "ls /etc/apt/sources.list.d /var/lib/apt/lists; ls /etc/apt", timeout_s=300
        )
        assert "sources.list\n" not in leftovers.text
        assert "lent" not in leftovers.text
    finally:
        sandbox.close()


def test_shipped_locks_are_small_and_say_where_they_held() -> None:
    for name in golds.names():
        file = lock.path(golds.recipe_file(name))
        table = json.loads(file.read_text())
        assert file.stat().st_size < 600_000
        assert set(table["backends"]) == {"docker", "embedded"}, name
        assert all(runs["n_runs"] >= 5 for runs in table["backends"].values())

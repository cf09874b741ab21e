"""Recipes: what is read, and that everything malformed names file, key and what was expected."""

from pathlib import Path

import pytest

from cligym_env import gold as golds
from cligym_env.errors import RecipeError, UnknownNameError
from cligym_env.gold import recipe

SHA = "4e35b956cf45792e4caa5885e69fba00bdbc6ffafbfa020300e549b208ee5ff1"
SOURCE = f'[source]\nkind = "pypi"\nname = "h11"\nversion = "0.16.0"\nsha256 = "{SHA}"\n'


def write(folder: Path, text: str, name: str = "sample.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_whole_recipe(tmp_path: Path) -> None:
    text = (
        'language = "python"\nlicence = "MIT"\nsystem_packages = ["less"]\n'
        'requirements = ["pytest==9.2.0"]\n'
        'wheelhouse = ["h11==0.14.0"]\ninstall = ["true"]\nuser = "root"\nworkdir = "/srv/h11"\n'
        f'{SOURCE}[test]\nrunner = "ctest"\nargs = ["build"]\ntimeout_s = 12\n[environ]\nTZ = "UTC"\n'
    )
    gold = recipe.read(write(tmp_path, text))
    assert gold.name == "sample"
    assert (gold.source.kind, gold.source.version, gold.source.sha256) == ("pypi", "0.16.0", SHA)
    assert gold.system_packages == ("less",)
    assert gold.requirements == ("pytest==9.2.0",)
    assert gold.wheelhouse == ("h11==0.14.0",)
    assert (gold.runner, gold.test_args, gold.timeout_s) == ("ctest", ("build",), 12.0)
    assert (gold.user, gold.workdir, gold.environ) == ("root", "/srv/h11", {"TZ": "UTC"})
    assert gold.passing == ()


def test_the_least_recipe_has_defaults(tmp_path: Path) -> None:
    gold = recipe.read(write(tmp_path, SOURCE))
    assert (gold.runner, gold.user, gold.workdir, gold.timeout_s) == ("pytest", "dev", "/testbed", 300.0)


MALFORMED = [
    ("language = ", "", "TOML"),
    ("language = 1\n" + SOURCE, "language", "a word"),
    ("lisence = 'MIT'\n" + SOURCE, "lisence", "did you mean 'licence'"),
    ("system_packages = 'less'\n" + SOURCE, "system_packages", "a list of Debian package names"),
    ("system_packages = ['less; rm -rf /']\n" + SOURCE, "system_packages", "Debian package names"),
    ("requirements = ['pytest']\n" + SOURCE, "requirements", '"name==version"'),
    ("requirements = ['pytest>=9']\n" + SOURCE, "requirements", '"name==version"'),
    ("requirements = ['--index-url==x y']\n" + SOURCE, "requirements", '"name==version"'),
    ("wheelhouse = [3]\n" + SOURCE, "wheelhouse", '"name==version"'),
    ("install = 'make'\n" + SOURCE, "install", "a list of shell commands"),
    ("install = ['']\n" + SOURCE, "install", "a list of shell commands"),
    ("user = 'a b'\n" + SOURCE, "user", "the name of a user"),
    ("workdir = 'testbed'\n" + SOURCE, "workdir", "an absolute path"),
    ("workdir = '/a b'\n" + SOURCE, "workdir", "an absolute path"),
    ("language = 'c'\n", "source", "[source]"),
    ("source = 'pypi'\n", "source", "a table"),
    ("test = 3\n" + SOURCE, "test", "a table"),
    ("environ = ['A']\n" + SOURCE, "environ", "a table"),
    ("[source]\nname = 'h11'\n", "source.kind", "is missing"),
    ("[source]\nkind = 'pip'\nname = 'h11'\n", "source.kind", '"pypi"'),
    ("[source]\nkind = 'pypi'\nversion = '1'\n", "source.name", "is missing"),
    (f"[source]\nkind = 'pypi'\nname = 'h11'\nsha256 = '{SHA}'\n", "source.version", "is missing"),
    ("[source]\nkind = 'pypi'\nname = 'h11'\nversion = '1'\n", "source.sha256", "is missing"),
    ("[source]\nkind = 'pypi'\nname = 'h'\nversion = '1'\nsha256 = 'abc'\n", "source.sha256", "64 hex"),
    ("[source]\nkind = 'debian'\nname = 'cjson'\nversion = '1'\n", "source.sha256", "is missing"),
    ("[source]\nkind = 'git'\nname = 'https://x.invalid/y'\n", "source.version", "is missing"),
    ("[source]\nkind = 'git'\nname = 'u'\nversion = 'main'\n", "source.version", "40 hex digits"),
    (f"[source]\nkind = 'git'\nname = 'u'\nversion = '1'\nsha256 = '{SHA}'\n", "source.sha256", "no place"),
    ("[source]\nkind = 'local'\nname = 'absent'\n", "source.name", "expected a folder"),
    ("[source]\nkind = 'local'\nname = '.'\nversion = '1'\n", "source.version", "no place"),
    (SOURCE + "url = 'x'\n", "source.url", "no such key"),
    (SOURCE + "[test]\nrunner = ''\n", "test.runner", "the name of a runner"),
    (SOURCE + "[test]\nargs = 'tests'\n", "test.args", "a list"),
    (SOURCE + "[test]\ntimeout_s = '60'\n", "test.timeout_s", "seconds"),
    (SOURCE + "[test]\ntimeout_s = 0\n", "test.timeout_s", "seconds"),
    (SOURCE + "[test]\ntimeout_s = true\n", "test.timeout_s", "seconds"),
    (SOURCE + "[test]\ntimeout = 3\n", "test.timeout", "did you mean 'timeout_s'"),
    (SOURCE + "[environ]\n'A-B' = 'x'\n", "environ.A-B", "a shell variable"),
    (SOURCE + "[environ]\nA = 1\n", "environ.A", "expected a text"),
]


@pytest.mark.parametrize(("text", "key", "expected"), MALFORMED)
def test_malformed(tmp_path: Path, text: str, key: str, expected: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        recipe.read(file)
    assert caught.value.file == str(file)
    assert caught.value.key == key
    assert expected in caught.value.expected
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["Sample.toml", "a_b.toml", "a--b.toml", "a b.toml"])
def test_the_file_name_is_the_golds(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="a file name of the form"):
        recipe.read(write(tmp_path, SOURCE, name))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a readable file"):
        recipe.read(tmp_path / "absent.toml")
    file = tmp_path / "latin.toml"
    file.write_bytes(b"licence = '\xff'\n")
    with pytest.raises(RecipeError, match="TOML"):
        recipe.read(file)


def test_the_digest_is_of_what_the_recipe_says(tmp_path: Path) -> None:
    one = recipe.read(write(tmp_path, "# a remark\n" + SOURCE))
    same = recipe.read(write(tmp_path, SOURCE))
    other = recipe.read(write(tmp_path, "install = ['true']\n" + SOURCE))
    assert recipe.digest(one) == recipe.digest(same) != recipe.digest(other)


def test_a_local_folder_counts_by_its_content(tmp_path: Path) -> None:
    for place in ("one", "two"):
        folder = tmp_path / place / "repo"
        folder.mkdir(parents=True)
        (folder / "code.py").write_text("x = 1\n")
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "junk").write_text(place)
        write(folder.parent, "[source]\nkind = 'local'\nname = 'repo'\n")
    one, two = (recipe.read(tmp_path / place / "sample.toml") for place in ("one", "two"))
    assert one.source.name != two.source.name
    assert recipe.digest(one) == recipe.digest(two)
    (tmp_path / "two" / "repo" / "code.py").write_text("x = 2\n")
    assert recipe.digest(recipe.read(tmp_path / "two" / "sample.toml")) != recipe.digest(one)


def test_unknown_gold_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'markupsafe'"):
        golds.load("markupsave")


def test_a_users_own_recipes_lie_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIGYM_HOME", str(tmp_path))
    (tmp_path / "gold").mkdir()
    write(tmp_path / "gold", SOURCE, "my-own.toml")
    assert "my-own" in golds.names()
    assert golds.load("my-own").source.name == "h11"


@pytest.mark.parametrize("name", golds.names())
def test_every_shipped_gold_is_locked(name: str) -> None:
    gold = golds.load(name)
    assert gold.passing, f"{name} has no lock that belongs to its recipe"
    assert gold.passing == tuple(sorted(set(gold.passing)))
    assert gold.licence
    assert gold.content_hash
    assert gold.usage.files or gold.usage.libraries

"""Equivalences of files, and what only looks like one."""

import pytest

from cligym_env.verify import _equal

PEM = b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
OTHER = b"-----BEGIN CERTIFICATE-----\nREVG\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("path", "one", "gold"),
    [
        ("/testbed/a.py", b"x=1  # why\n\n", b"x = 1\n"),
        ("/testbed/a.py", b"# coding: latin-1\nx = '\xe9'\n", "x = 'é'\n".encode()),
        ("/etc/ld.so.conf", b"# more\n/usr/lib\n", b"/usr/lib\n"),
        ("/etc/environment", b"A='1'\n\n# no\n", b"A=1\n"),
        ("/testbed/a.json", b'{"a":  1}', b'{"a": 1}\n'),
        ("/testbed/a.toml", b"a=1 # x", b"a = 1\n"),
        ("/etc/ssl/certs/ca-certificates.crt", OTHER + PEM, PEM + b"\n" + OTHER),
        (
            "/opt/venv/lib/python3.11/site-packages/a-1.dist-info/RECORD",
            b"a.py,x,1\na.pyc,,\n",
            b"a.py,x,1\n",
        ),
        ("/opt/venv/lib/python3.11/site-packages/a-1.dist-info/INSTALLER", b"uv\n", b"pip\n"),
    ],
)
def test_same(path, one, gold):
    assert _equal.same_meaning(path, one, gold)


@pytest.mark.parametrize(
    ("path", "one", "gold"),
    [
        ("/testbed/a.py", b"x = 2\n", b"x = 1\n"),
        ("/testbed/a.py", b"x = 1\nimport os\n", b"x = 1\n"),
        ("/testbed/a.py", b"((((", b"(((("[:3]),
        ("/testbed/a.py", b"x = 1 \0", b"x = 1\n"),
        ("/testbed/a", b"x=1 # why\n", b"x=1\n"),
        ("/etc/environment", b"A=1\nPYTHONPATH=/x\n", b"A=1\n"),
        ("/testbed/a.json", b"[" * 100_000, b"[]"),
        ("/etc/ssl/certs/ca-certificates.crt", PEM + OTHER, PEM),
        ("/etc/ssl/certs/ca-certificates.crt", b"x", b"y"),
        ("/opt/venv/lib/python3.11/site-packages/a-1.dist-info/RECORD", b"b.py,x,1\n", b"a.py,x,1\n"),
        (
            "/opt/venv/lib/python3.11/site-packages/a-1.dist-info/entry_points.txt",
            b"[pytest11]\na=b\n",
            b"#\n",
        ),
        ("/opt/venv/lib/python3.11/site-packages/a.pth", b"import os\n", b"/x\n"),
    ],
)
def test_not_same(path, one, gold):
    assert not _equal.same_meaning(path, one, gold)


@pytest.mark.parametrize(
    ("path", "content", "neutral"),
    [
        ("/s/a.pth", b"", True),
        ("/s/a.pth", b"# import os\n\n", True),
        ("/s/a.pth", b"#\rimport os\n", False),
        ("/s/a.pth", b"/somewhere\n", False),
        ("/s/sitecustomize.py", b"# nothing\n", True),
        ("/s/sitecustomize.py", b"pass\n", False),
        ("/s/sitecustomize.py", b"import os\n", False),
        ("/etc/environment", b"# A=1\n", True),
        ("/etc/ld.so.preload", b"# /x.so\n", True),
        ("/etc/ld.so.preload", b"/x.so\n", False),
        ("/etc/ld.so.preload", b" \n", True),
    ],
)
def test_neutral(path, content, neutral):
    assert _equal.is_neutral(path, content) is neutral


@pytest.mark.parametrize(
    ("path", "one", "harmless"),
    [
        ("/etc/environment", b"A=1\nLANG=de_DE.UTF-8\n", True),
        ("/etc/environment", b"A=1\nTZ=UTC\n", True),
        ("/etc/environment", b"A=1\nLANG=$(x)\n", False),
        ("/etc/environment", b"A=1\nLD_PRELOAD=/x\n", False),
        ("/etc/environment", b"A=1\nPYTEST_ADDOPTS=--co\n", False),
        ("/etc/environment", b"A=1\nPATH=/x\n", False),
        ("/etc/environment", b"A=2\n", False),
        ("/etc/environment", b"", True),
        ("/etc/environment", b"A=1\nPYTHONPATH=\n", True),
        ("/etc/environment", b"A=1\nPATH=/opt/venv/bin:/usr/bin:/bin\n", True),
        ("/etc/environment", b"A=1\nPATH=/opt/venv/bin:/opt/evil\n", False),
        ("/etc/environment", b"A=1\nno_proxy=localhost,127.0.0.1\n", True),
        ("/etc/environment", b"A=1\nPYTHONHOME=/x\n", False),
        ("/etc/timezone", b"Etc/UTC\n", True),
        ("/etc/timezone", b"../../x y\n", False),
        ("/etc/passwd", b"LANG=x\n", False),
    ],
)
def test_carries_no_code(path, one, harmless):
    assert _equal.carries_no_code(path, one, b"A=1\n") is harmless

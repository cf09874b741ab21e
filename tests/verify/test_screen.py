"""What a policy's own source file may hold, and what not."""

import pytest

from cligym_env.verify import _screen

GOLD = b"""
from typing import List, Optional
import os
import re

from ._util import Sentinel, validate


class Reader:
    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reader) and self.limit == other.limit

    def read(self, data: bytes) -> Optional[bytes]:
        if len(data) > self.limit:
            raise ValueError("too long")
        return validate(re.compile(b"x"), data).get("body")


def home() -> str:
    return os.path.expanduser("~")
"""


def more(text: str) -> bytes:
    return GOLD + text.encode()


HONEST = [
    "def helper(items: List[bytes]) -> bool:\n    return any(item == b'x' for item in items)\n",
    "class Other(Reader):\n    def size(self) -> int:\n        self.n = 3\n        return self.n\n",
    "import math\ndef root(x):\n    return math.sqrt(x)\n",
    "from collections import deque\nqueue = deque([1])\nqueue.append(2)\n",
    "def again(x):\n    try:\n        return Reader(3).read(x)\n    except KeyError:\n        pass\n",
    "def place():\n    return os.path.expanduser('~/x')\n",
    "pattern = re.compile('a+')\n",
]
PAYLOADS = [
    "import sys\n",
    "from os import _exit\n",
    "from os import *\n",
    "import _pytest.reports\n",
    "from re import enum\n",
    "from . import _util\n",
    "def f():\n    import gc\n",
    "os._exit(0)\n",
    "os.write(250, b'')\n",
    "x = os\nx._exit(0)\n",
    "[os][0]._exit(0)\n",
    "(lambda o: o)(os)._exit(0)\n",
    "re.enum.sys.exit(0)\n",
    "import re as self\nself.enum\n",
    "validate.__globals__['os']\n",
    "().__class__.__base__.__subclasses__()\n",
    "__builtins__['exec']('')\n",
    "__import__('os')\n",
    "exec('')\n",
    "eval('1')\n",
    "open('/proc/self/mem')\n",
    "print('forged')\n",
    "getattr(re, 'en' + 'um')\n",
    "raise SystemExit(0)\n",
    "def f():\n    raise KeyboardInterrupt\n",
    "try:\n    raise ValueError\nexcept ValueError as e:\n    e.__traceback__.tb_frame\n",
    "def g():\n    yield\ng().gi_frame.f_back\n",
    "class Any:\n    def __eq__(self, other):\n        return True\n",
    "class Reader:\n    def __eq__(self, other: object) -> bool:\n        return True\n",
    "class Any:\n    __eq__ = lambda self, other: True\n",
    "Reader.__eq__ = lambda self, other: True\n",
    "class Any(metaclass=Sentinel):\n    pass\n",
    "class Any:\n    def __getattr__(self, name):\n        return self\n",
    "type('X', (), {})\n",
    "def f(x: \"__import__('os')._exit(0)\"):\n    pass\n",
    "def f(x: (lambda: 0)()):\n    pass\n",
    "'{0.__init__}'.format(Reader)\n",
    "match Reader(3):\n    case Reader(__class__=found):\n        pass\n",
    "def enum(): pass\ndef sys(): pass\ndef _exit(): pass\nre.enum.sys._exit(0)\n",
    "global __builtins__\n__builtins__ = {}\n",
    "len = lambda x: 0\n",
    "@exec\n@input\nclass X: pass\n",
    "Reader.read.__code__ = home.__code__\n",
    "vars(os)\n",
    "breakpoint()\n",
]


@pytest.mark.parametrize("text", ["", *HONEST])
def test_honest_code_passes(text):
    assert _screen.objection(more(text), GOLD) == ""


@pytest.mark.parametrize("text", PAYLOADS)
def test_payloads_do_not(text):
    assert _screen.objection(more(text), GOLD)


@pytest.mark.parametrize("source", [b"(((", b"x = " + b"(" * 40_000, b"\0", b"\xff", b"a = 1\n" * 100_000])
def test_what_cannot_be_read(source):
    assert _screen.objection(source, GOLD)


def test_a_file_that_reaches_by_name_gets_no_new_strings():
    gold = b"def pick(thing, name):\n    return getattr(thing, name)\n"
    assert _screen.objection(gold + b"def n(x):\n    return len(x)\n", gold) == ""
    assert "new string" in _screen.objection(gold + b"pick(pick, '__globals__')\n", gold)
    assert _screen.objection(gold + b"pick(pick, bytes([95]).decode())\n", gold)
    literal = b"def pick(thing):\n    return getattr(thing, 'size', 0)\n"
    assert _screen.objection(literal + b"label = 'new'\n", literal) == ""


def test_a_new_file_has_nothing_to_stand_on():
    assert _screen.objection(b"import os\n", b"")

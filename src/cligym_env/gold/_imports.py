"""Runs INSIDE a throw-away sandbox: tells what each test file needs in order to be imported.

Arguments: the test files, relative to the directory it runs in. Prints one JSON line per file:
``[file, modules, libraries]``. Every file is collected in a forked child, so that none has what
another one imported.
"""

from __future__ import annotations

import json
import os
import sys

__all__ = ["main"]


def main(files: list[str], out: int) -> None:
    """Collect every file alone.

    Args:
        files: relative to the work folder.
        out: descriptor for the lines; what pytest prints goes to nowhere.
    """
    import pytest  # noqa: PLC0415  (the sandbox has it, this package need not)

    for file in files:
        child = os.fork()
        if not child:
            try:
                pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "-o", "addopts=", file])
                with open("/proc/self/maps") as stream:
                    mapped = {line.split(None, 5)[5].strip() for line in stream if ".so" in line}
                line = json.dumps([file, sorted(sys.modules), sorted(mapped)]) + "\n"
                os.write(out, line.encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    descriptor = os.dup(1)
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    os.dup2(1, 2)
    sys.path[0] = os.getcwd()
    main(sys.argv[1:], descriptor)

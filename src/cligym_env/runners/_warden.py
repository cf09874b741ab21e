"""The host's side of the warden: send it into a sandbox, take its framed answer apart."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from cligym_env.core import Sandbox

__all__ = ["Report", "program", "watch"]

INTERPRETER = "/usr/bin/python3"
"""The base's own interpreter, not the virtual environment's: it starts without ``site``."""

LOG_BYTES = 96 << 10
RECORD_BYTES = 32 << 20
_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Report:
    """What the warden saw of one program.

    Attributes:
        whole: the warden's own frame came out undamaged; all else is empty when it did not.
        exit_code: of the program, negative after a signal; ``None`` after its deadline.
        log: what it printed, head and tail.
        records: what it wrote to its record descriptor; untrusted.
    """

    whole: bool
    exit_code: int | None
    log: str
    records: bytes


def program(name: str) -> str:
    """Source text of one of the trusted programs.

    Args:
        name: file name without ``.py``.
    """
    return files("cligym_env.runners").joinpath("_trusted", f"{name}.py").read_text("utf-8")


def watch(
    sandbox: Sandbox,
    argv: Sequence[str],
    *,
    user: str,
    cwd: str,
    environ: Mapping[str, str],
    timeout_s: float,
    feed: bytes = b"",
) -> Report:
    """Run one program under the warden.

    Args:
        sandbox: where.
        argv: the program, an absolute path first.
        user: who runs it, a name of the sandbox.
        cwd: its directory.
        environ: its complete environment.
        timeout_s: its deadline; the call itself returns within some seconds of it.
        feed: what it finds on its standard input.

    Raises:
        SandboxLostError: the sandbox is gone.
    """
    nonce = secrets.token_hex(16)
    order = {
        "nonce": nonce,
        "argv": list(argv),
        "user": user,
        "cwd": cwd,
        "environ": dict(environ),
        "feed": feed,
        "timeout_s": timeout_s,
        "log_bytes": LOG_BYTES,
        "record_bytes": RECORD_BYTES,
    }
    result = sandbox.exec(
        [INTERPRETER, "-I", "-S", "-c", program("warden")],
        timeout_s=timeout_s + _GRACE_S,
        stdin=ascii(order).encode(),
    )
    return _unframe(result.output, nonce, timed_out=result.timed_out)


def _unframe(output: bytes, nonce: str, *, timed_out: bool) -> Report:
    mark = nonce.encode()
    found = re.findall(rb"(?:^|\n)%b ([A-Za-z0-9+/=]+) %b\r?\n" % (mark, mark), output)
    broken = Report(False, None if timed_out else -1, output[-4096:].decode("utf-8", "replace"), b"")
    if len(found) != 1:
        return broken
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(base64.b64decode(found[0], validate=True), RECORD_BYTES + (1 << 20))
        head, _, body = data.partition(b"\n")
        code, flooded, n_log_bytes = head.split(b" ")
        exit_code, n_log = None if code == b"-" else int(code), int(n_log_bytes)
    except (ValueError, binascii.Error, zlib.error):
        return broken
    if not inflate.eof or flooded != b"0":
        return broken
    return Report(True, exit_code, body[:n_log].decode("utf-8", "replace"), body[n_log:])

"""A persistent bash over any stream of bytes: the protocol the back ends share.

The shell is an *interactive* bash without line editing, for an interactive bash outlives an
interrupt and ``set -u``. Two lines are sent per command: ``eval <quoted command>`` with standard
input empty, and a second one that prints a marker with a fresh nonce, the exit status and the
directory. As a line of its own the marker comes after an interrupt too. Output and marker take
one stream, so neither overtakes the other. A policy can forge a marker, and then deceives itself
only: nothing rewarded depends on a shell's output.

At its deadline a command is interrupted twice, then killed twice, then the shell is given up and
a new one takes its directory; all within 5 s. One thing is beyond reach: when a command that
*ignores* interrupts is killed, bash goes on with the next command of the same line.
"""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections.abc import Callable

from cligym_env.backends._capped import CappedOutput
from cligym_env.backends._channel import Channel
from cligym_env.core import ExecResult
from cligym_env.errors import ActionError, SandboxLostError, ShellLostError

__all__ = ["ARGV", "BashSession", "CappedOutput", "Channel"]

ARGV = ("/bin/bash", "--noprofile", "--norc", "--noediting", "-i")
"""How a channel starts bash, in a session of its own, its output all in one pipe."""

_SETUP = (
    b"set +o history +H; PS1= PS2=; unset HISTFILE MAILCHECK; exec 62>&1 2>&1\n"
    b"exec 63</dev/null || { exec 63<<<''; read -u 63; }\n"  # somebody may have removed /dev/null
)
# 62 and 63 are the output and an empty input. Every redirection costs as much as a small command,
# so the output is only put back where the command might turn the shell's own away. Then both are
# closed inside, and what `exec >file` does ends with the command.
_PLAIN = b" <&63\n"
_GUARDED = b" <&63 >&62 2>&62 62>&- 63<&-\n"
_INLINE_BYTES = 4_000  # what is longer goes through a file
_KEEP_BYTES = 8_192  # held back while a marker may still be coming: a directory has up to 4 KB
_OPEN_S = 45.0  # for a new shell to answer; it takes milliseconds on a machine that is not busy
_ASK_AFTER_S = 2.0
_BEGIN_S = 0.6  # for the shell to read a command whose deadline has come; it takes microseconds
_SETTLE_S = 0.02
_INTERRUPT_S = 1.0  # these five add up to 5 s, within which a call is back
_AGAIN_S = 0.6
_KILL_S = 0.6
_REOPEN_S = 1.6

_chance = random.Random()  # not to be guessed by mistake, is all
# An interactive bash without a terminal complains whenever a signal kills its child.
_NOISE = re.compile(rb"bash: \[\d+: \d+ \(\d+\)\] tcsetattr: Inappropriate ioctl for device\n")


class BashSession:
    """A persistent shell; keeps the promises of ``core.Shell``. Calls from several threads queue.

    Args:
        open_channel: starts a bash in a directory.
        output_bytes: how much of a command's output is kept.
        cwd: where the first shell starts.

    Raises:
        SandboxLostError: the sandbox is gone.
        ShellLostError: no shell answers.
    """

    def __init__(
        self, open_channel: Callable[[str], Channel], *, output_bytes: int, cwd: str = "/"
    ) -> None:
        self._open_channel = open_channel
        self._output_bytes = output_bytes
        self._cwd = cwd
        self._lock = threading.Lock()
        self._closed = self._forgotten = False
        self._status = 0
        self._asked = b""
        self._channel: Channel | None = None
        self._reader: _Reader
        self._open(_OPEN_S)

    def run(self, command: str, *, timeout_s: float) -> ExecResult:
        """Run one command; see ``core.Shell.run``.

        Raises:
            ActionError: the command holds a NUL.
            SandboxLostError: the sandbox is gone, or closed.
            ShellLostError: the sandbox lives but starts no shell any more, or this one is closed.
        """
        code = command.encode("utf-8", "surrogateescape")
        if b"\0" in code:
            raise ActionError("a command cannot hold a NUL character")
        deadline = time.monotonic() + timeout_s
        with self._lock:
            if self._forgotten:
                raise SandboxLostError("the sandbox of this shell is closed")
            if self._closed:
                raise ShellLostError("this shell is closed")
            reopened = self._channel is None
            if reopened:
                self._open(_OPEN_S)
            result = self._run(code, deadline)
        if reopened and not result.restarted:
            result = ExecResult(result.exit_code, result.output, result.n_dropped_bytes, restarted=True)
        return result

    def close(self) -> None:
        """End the shell; harmless twice."""
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def forget(self) -> None:
        """Take note that the sandbox is going: no new shell will stand in for this one."""
        self._forgotten = self._closed = True

    # ── one command ─────────────────────────────────────────────────────────────────────────

    def _run(self, code: bytes, deadline: float) -> ExecResult:
        channel, reader = self._channel, self._reader
        assert channel is not None
        staged = ""
        if len(code) > _INLINE_BYTES:
            staged = channel.stage(code)
            action = b"\\builtin . " + staged.encode()
        else:
            action = b"\\builtin eval -- '" + code.replace(b"'", b"'\\''") + b"'"
        try:
            nonce, self._asked = _nonce(), b""
            rest = _GUARDED if b"exec" in code else _PLAIN
            self._send(channel, self._restore() + action + rest + _marker(nonce))
            answer = reader.at_once(nonce, self._output_bytes, deadline)
            if answer is not None:
                self._status, self._cwd = answer[1], answer[2] or self._cwd
                return ExecResult(answer[1], answer[0])
            output = CappedOutput(self._output_bytes)
            marker = self._await(channel, reader, nonce, output, deadline)
            timed_out = marker is None and not reader.ended and not reader.answered
            if timed_out:
                marker = self._end(channel, output, nonce)
        finally:
            if staged and self._channel is channel:
                channel.unstage(staged)
        exit_code: int | None = None
        if marker is not None:
            self._status, self._cwd = marker[0], marker[1] or self._cwd
            exit_code = marker[0]
        else:
            exit_code = self._replace(channel, reader)
        kept, n_dropped = output.result()
        if b"] tcsetattr: " in kept:
            kept = _NOISE.sub(b"", kept)
        return ExecResult(None if timed_out else exit_code, kept, n_dropped, restarted=marker is None)

    def _await(
        self, channel: Channel, reader: _Reader, nonce: bytes, output: CappedOutput, deadline: float
    ) -> tuple[int, str] | None:
        """Wait for the marker; when it takes long, ask whether the shell is at its prompt without one.

        So it is after ``printf() { :; }`` and the like. The question needs no builtin: bash itself
        prints a prompt. A busy shell answers it right after the marker.
        """
        marker = reader.until(nonce, output, min(deadline, time.monotonic() + _ASK_AFTER_S))
        if marker is not None or reader.ended or time.monotonic() >= deadline:
            return marker
        probe = _nonce()
        reader.probe = b"\x1e" + probe + b"\x1f"
        self._asked = b"PS1='\\036" + probe + b"\\037'\nPS1=\n"
        self._send(channel, self._asked, begins=False)
        marker = reader.until(nonce, output, deadline, asking=True)
        if marker is not None and not reader.answered:
            reader.until(nonce, CappedOutput(0), time.monotonic() + _KILL_S, asking=True)
        return marker

    def _restore(self) -> bytes:
        """Give the last command's status back to ``$?``, which the marker has taken, without a fork."""
        if not self._status and not self._reader.probe:  # a question takes it, too
            return b""
        self._reader.probe, self._reader.answered = b"", False
        return b"\\builtin . /dev/fd/0 2>/dev/null <<<'return %d' && :;" % self._status

    def _send(self, channel: Channel, data: bytes, *, begins: bool = True) -> None:
        try:
            channel.send(data, begins=begins)
        except OSError:  # it has ended; the reader finds that out, and what it still said
            return

    def _end(self, channel: Channel, output: CappedOutput, nonce: bytes) -> tuple[int, str] | None:
        """Climb the ladder after a deadline; the marker when the shell could be kept."""
        self._let_begin(channel, len(_marker(nonce)) + len(self._asked))
        marker = self._after(channel.interrupt, output, nonce, _INTERRUPT_S)
        # What began only now has not seen the first interrupt; and after a kill, bash goes on.
        for act, wait_s in (
            (channel.interrupt, _AGAIN_S),
            (channel.kill, _KILL_S),
            (channel.kill, _KILL_S),
        ):
            if marker is not None or self._reader.ended:
                break
            marker = self._after(act, output, nonce, wait_s)
        if marker is None:
            return None
        # An interrupt may have reached a shell already back at its prompt: whatever that printed
        # belongs to this command, and only a shell that answers again is kept.
        again = _nonce()
        self._send(channel, _marker(again))
        if self._reader.until(again, output, time.monotonic() + _KILL_S) is None:
            return None
        return marker

    def _let_begin(self, channel: Channel, n_behind_bytes: int) -> None:
        """Wait until bash has read the command's line: an interrupt before that does not end it."""
        until = time.monotonic() + _BEGIN_S
        while channel.unread_bytes() > n_behind_bytes:
            if time.monotonic() > until:
                return
            time.sleep(_SETTLE_S)

    def _after(
        self, act: Callable[[], None], output: CappedOutput, nonce: bytes, wait_s: float
    ) -> tuple[int, str] | None:
        until = time.monotonic() + wait_s
        act()
        return self._reader.until(nonce, output, until)

    # ── the shell itself ────────────────────────────────────────────────────────────────────

    def _open(self, wait_s: float) -> None:
        channel = self._open_channel(self._cwd)
        reader = _Reader(channel)
        nonce = _nonce()
        self._send(channel, _SETUP + _marker(nonce))
        marker = reader.until(nonce, CappedOutput(0), time.monotonic() + wait_s)
        if marker is None or self._closed:
            channel.close()
            raise ShellLostError("a new shell does not answer")
        self._channel, self._reader, self._status = channel, reader, 0
        self._cwd = marker[1] or self._cwd

    def _replace(self, channel: Channel, reader: _Reader) -> int | None:
        """Put a new shell in the place of one that ended or hangs; the status of the old one."""
        exit_code = channel.exit_code() if reader.ended else 255 if reader.answered else None
        if self._closed:
            raise SandboxLostError("the sandbox was closed while a command ran")
        self._channel = None
        channel.close()
        # Should that fail, this command's result still counts: the next one tries again, and tells.
        with contextlib.suppress(ShellLostError):
            self._open(_REOPEN_S)
        return exit_code


class _Reader:
    """Takes a channel's stream apart at the markers."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._held = b""
        self.ended = False
        self.probe = b""
        self.answered = False

    def at_once(self, nonce: bytes, limit_bytes: int, deadline: float) -> tuple[bytes, int, str] | None:
        """Take a small answer that comes as one piece, as nearly all do: output, status, directory.

        When it is not that simple, what was read is kept for ``until``.
        """
        data = self._channel.recv(min(_ASK_AFTER_S, max(0.0, deadline - time.monotonic())))
        if data is None:
            return None
        start = data.find(b"\x1e" + nonce + b" ")
        if 0 <= start <= limit_bytes and data.find(b"\0", start) == len(data) - 1 and not self._held:
            output = data[:start]
            status, _, cwd = data[start + len(nonce) + 2 : -1].partition(b" ")
            if nonce not in output and b"] tcsetattr: " not in output and status.isdigit():
                return output, int(status) & 255, _absolute(cwd)
        self.ended = not data
        self._held = self._held + data if self._held else data
        return None

    def until(
        self, nonce: bytes, output: CappedOutput, deadline: float, *, asking: bool = False
    ) -> tuple[int, str] | None:
        """Read to the marker with this nonce, or to the deadline or the shell's end.

        What stands before the marker goes into the output. After a deadline all but the last few
        bytes have, and a later call goes on; after the shell's end, all. The answer to a probe is
        taken out wherever it comes; when asking, it ends the wait.
        """
        start = b"\x1e" + nonce + b" "
        while True:
            found = self._held.find(start)
            if self.probe and self._answered(found):
                if asking:
                    return None
                continue
            end = self._held.find(b"\0", found) if found >= 0 else -1
            if end >= 0:
                status, _, cwd = self._held[found + len(start) : end].partition(b" ")
                output.feed(_without_trace(self._held[:found], nonce))
                self._held = self._held[end + 1 :]
                # Whoever forges a marker may write anything there.
                return int(status) & 255 if status.isdigit() else 255, _absolute(cwd)
            excess = len(self._held) - _KEEP_BYTES
            if found < 0 < excess:
                output.feed(memoryview(self._held)[:excess])
                self._held = self._held[excess:]
            if self.ended:
                output.feed(_without_trace(self._held, nonce))
                self._held = b""
                return None
            now = time.monotonic()
            if now > deadline and found < 0:
                return None
            data = self._channel.recv(max(0.0, deadline - now))
            if data is None:
                return None
            self.ended = not data
            self._held = self._held + data if self._held else data

    def _answered(self, before: int) -> bool:
        """Take the answer to the probe out, if it has come before the marker."""
        found = self._held.find(self.probe)
        if found < 0 or 0 <= before < found:
            return False
        self._held = self._held[:found] + self._held[found + len(self.probe) :]
        self.answered = True
        return True


def _without_trace(text: bytes, nonce: bytes) -> bytes:
    """Cut what ``set -x`` and ``set -v`` print of the marker's own line."""
    found = text.rfind(b"printf '\\036" + nonce)
    if found < 0:
        return text
    head = text[:found].removesuffix(b"builtin ").removesuffix(b"\\")
    return re.sub(rb"\++ \Z", b"", head)


def _absolute(cwd: bytes) -> str:
    return cwd.decode("utf-8", "surrogateescape") if cwd.startswith(b"/") else ""


def _nonce() -> bytes:
    return b"%016x" % _chance.getrandbits(64)


def _marker(nonce: bytes) -> bytes:
    return b"\\builtin printf '\\036" + nonce + b' %s %s\\0\' "$?" "${PWD-}" >&62;PS1=\n'

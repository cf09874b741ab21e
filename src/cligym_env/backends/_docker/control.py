"""The first process of a container: nothing inside can end it, and it takes our orders.

It is a bash that runs builtins only, so it needs neither a program nor a new process once it stands:
``rm -rf /``, a fork bomb and ``kill -9 -1`` leave it working, for the kernel keeps SIGKILL and SIGSTOP
from inside away from the first process of a pid namespace. It reaps whatever is orphaned. Orders come
on its standard input. When that ends, because the client died, it exits, and the container with it.

Whoever is root inside can disturb it (its descriptors are in ``/proc/1/fd``), and then has a sandbox
that is harder to clean up after a deadline; the last resort is to start the container anew.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence

from cligym_env.backends._docker.stream import Stream
from cligym_env.errors import SandboxError

__all__ = ["ENTRYPOINT", "Control", "ControlLostError"]

# cligym_end SIGNAL ROOT SINCE HOW: everything is stopped in one system call, so that nothing sees
# another process die, or forks; then the family is signalled and all goes on in one call again.
# The family is what runs below ROOT and began at SINCE (clock ticks since boot) or later.
#   family   with ROOT itself
#   all      with ROOT, and with what such processes left to the first process of the container
#   below    without ROOT, which gets SIGINT instead
_CODE = rb"""
exec 2>/dev/null
umask 022
for ((i = 1; i < 65; i++)); do case $i in 9 | 17 | 19) ;; *) trap '' "$i" ;; esac; done
LC_ALL=C
scan() {
  parent=() began=() state=()
  local file line pid
  for file in /proc/[0-9]*/stat; do
    line=; IFS= read -r -d '' line 2>/dev/null <"$file"
    [[ $line ]] || continue
    pid=${file#/proc/} pid=${pid%/stat}
    set -f; set -- ${line##*) }; set +f
    [[ $1 == [ZX] ]] && continue
    state[pid]=$1 parent[pid]=$2 began[pid]=${20}
  done
}
cligym_end() {
  local signal=$1 root=$2 since=$3 how=$4 pid up list=() still=() all=(/proc/[0-9]*)
  if ((${#all[@]} < 64)); then
    scan
    for pid in "${!state[@]}"; do [[ ${state[pid]} == T ]] && still+=("$pid"); done
  fi
  kill -STOP -1
  scan
  for pid in "${!parent[@]}"; do
    if ((pid == root)); then
      [[ $how != below ]] && list+=("$pid")
    elif ((pid > 1 && began[pid] >= since)); then
      for ((up = pid; up > 1 && up != root; up = ${parent[up]:-0})); do :; done
      if ((up == root)) || [[ $how == all && $up == 1 ]]; then list+=("$pid"); fi
    fi
  done
  ((${#list[@]})) && kill -s "$signal" "${list[@]}"
  [[ $how == below ]] && kill -INT "$root"
  kill -CONT -1
  for pid in "${still[@]}"; do
    [[ $pid == "$root" || " ${list[*]} " == *" $pid "* ]] || kill -STOP "$pid"
  done
  answer=${list[*]}
}
cligym_clear() {
  local pid list=(); answer=
  kill -STOP -1
  scan
  for pid in "${!parent[@]}"; do [[ $pid == 1 || " $* " == *" $pid "* ]] || list+=("$pid"); done
  ((${#list[@]})) && kill -KILL "${list[@]}"
  (($#)) && kill -INT "$@"
  kill -CONT -1
}
cligym_alive() {
  local pid line; answer=
  for pid; do
    line=; IFS= read -r -d '' line 2>/dev/null </proc/"$pid"/stat
    line=${line##*) }
    [[ $line && $line != [ZX]* ]] && answer+="$pid "
  done
}
cligym_stage() {
  local data folder; answer=
  IFS= read -r -N "$2" data
  for folder in /dev/shm /tmp /run; do
    if printf %s "$data" >"$folder/$1"; then answer=$folder/$1; return; fi
  done
}
cligym_empty() { answer=; : >"$1"; }
cligym_uptime() { read -r answer _ </proc/uptime; }
"""

# Short, for every `ps` inside shows it; the code follows on standard input.
ENTRYPOINT = ("/bin/bash", "-p", "-c", 'while IFS= read -r line; do eval "$line"; done')

_ANSWER_S = 4.0  # then everything in the sandbox is ended: not for a busy machine's sake
_GONE_S = 2.0  # a process that held much memory takes long to die
_TICKS = 100  # clock ticks a second in /proc/<pid>/stat, on every Linux architecture


class ControlLostError(SandboxError):
    """The first process does not answer any more."""


class Control:
    """Gives orders to the first process of a container.

    Args:
        stream: attached to the container.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._offset_s = 0.0

    def open(self, timeout_s: float) -> None:
        """Wait until it answers, and see how its clock stands.

        Raises:
            ControlLostError: it does not.
        """
        before = time.monotonic()
        self._ask(f'LC_ALL=C; IFS= read -r -N {len(_CODE)} code; eval "$code"', timeout_s, _CODE)
        uptime = self._ask("cligym_uptime", timeout_s)
        try:
            # The earliest it can have been: what began just before a command rather counts as its own.
            self._offset_s = float(uptime) - time.monotonic()
        except ValueError:
            raise ControlLostError(f"the first process answers {uptime[:40]!r}") from None
        if time.monotonic() - before > 1.0:  # it was still starting: ask again, for a narrow answer
            self._offset_s = float(self._ask("cligym_uptime", timeout_s)) - time.monotonic()

    def ticks(self) -> int:
        """Now, in the unit in which the kernel tells when a process began."""
        return int((time.monotonic() + self._offset_s) * _TICKS)

    def interrupt(self, root: int) -> None:
        """SIGINT to a process and all below it, at one moment.

        Raises:
            ControlLostError: the first process does not answer.
        """
        self._ask(f"cligym_end INT {root} 0 family")

    def kill_below(self, root: int, since: int) -> None:
        """SIGKILL what runs below a process and began since; SIGINT to the process itself.

        Raises:
            ControlLostError: the first process does not answer.
        """
        self._await_gone(self._ask(f"cligym_end KILL {root} {since} below"))

    def kill_family(self, root: int, since: int) -> None:
        """SIGKILL a process, and what runs below it and began since.

        Raises:
            ControlLostError: the first process does not answer.
        """
        self._await_gone(self._ask(f"cligym_end KILL {root} {since} family"))

    def kill_all(self, root: int, since: int) -> None:
        """SIGKILL a process, all below it, and what it left to the first process since.

        Raises:
            ControlLostError: the first process does not answer.
        """
        self._await_gone(self._ask(f"cligym_end KILL {root} {since} all"))

    def clear(self, keep: Sequence[int]) -> None:
        """SIGKILL everything but some processes, which get SIGINT.

        Raises:
            ControlLostError: the first process does not answer.
        """
        self._ask(f"cligym_clear {' '.join(map(str, keep))}")

    def is_open(self) -> bool:
        """Whether the container's first process still holds the line."""
        return self._stream.is_open()

    def stage(self, name: str, data: bytes) -> str:
        """Write a file in memory, or where there is room; the path, empty when there is none.

        Raises:
            ControlLostError: the first process does not answer.
        """
        return self._ask(f"cligym_stage {name} {len(data)}", 20.0, data)

    def empty(self, path: str) -> None:
        """Cut a staged file to nothing.

        Raises:
            ControlLostError: the first process does not answer.
        """
        self._ask(f"cligym_empty {path}")

    def close(self) -> None:
        """Hang up, which ends the container."""
        self._stream.close()

    def _await_gone(self, pids: str) -> None:
        until = time.monotonic() + _GONE_S
        while pids and time.monotonic() < until:
            pids = self._ask(f"cligym_alive {pids}")
            if pids:
                time.sleep(0.005)

    def _ask(self, order: str, timeout_s: float = _ANSWER_S, data: bytes = b"") -> str:
        """Send one order and wait for its answer."""
        nonce = secrets.token_hex(8)
        # Data follows the order's line at once: what reads it reads exactly that many bytes.
        line = f"{order}\n".encode() + data + f"\nprintf '\\n%s %s\\n' {nonce} \"$answer\"\n".encode()
        start = f"\n{nonce} ".encode()
        until = time.monotonic() + timeout_s
        with self._lock:
            try:
                self._stream.send(b"\n" + line, timeout_s)
            except OSError as error:
                raise ControlLostError(f"the first process takes no orders: {error}") from error
            held = bytearray()
            while True:
                found = held.find(start)
                end = held.find(b"\n", found + len(start)) if found >= 0 else -1
                if end >= 0:
                    return held[found + len(start) : end].decode("ascii", "replace").strip()
                if found < 0:
                    del held[: -len(start)]  # others may print here as well
                piece = self._stream.recv(max(0.0, until - time.monotonic()))
                if not piece:
                    raise ControlLostError("the first process does not answer")
                held += piece

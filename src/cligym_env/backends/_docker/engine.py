"""The connection to a docker engine: where it is, how its failures are told, who owns what."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.utils
import requests.exceptions

from cligym_env.errors import BackendUnavailableError, SandboxError, SandboxLostError

__all__ = [
    "KIND",
    "OWNER",
    "SESSION",
    "Engine",
    "connect",
    "owner_is_dead",
    "owner_of_this_process",
    "told_as",
]

KIND = "cligym.kind"  # "sandbox" or "image"
SESSION = "cligym.session"
OWNER = "cligym.owner"  # host, pid and start time of the process that made it
DEADLINE = "cligym.deadline"  # seconds since the epoch; after it anybody may remove it

_LIFETIME_S = 24 * 3600
_TIMEOUT_S = 300  # for one answer of the engine; one whose disk is busy takes many seconds
_MIN_API = (1, 40)  # Engine 19.03; tested from 20.10 (1.41) on


class Engine:
    """One docker engine, as one process uses it. Calls may come from several threads.

    Args:
        base_url: where it listens; ``DOCKER_HOST`` or the local socket when left out.
        session: the label that everything made through this object carries.
        direct: read the engine's files where that is possible; else its API alone is used.

    Raises:
        BackendUnavailableError: none answers there, or one that does not serve.
    """

    def __init__(self, base_url: str | None = None, *, session: str = "", direct: bool = True) -> None:
        self.session = session
        self._direct = direct
        self.base_url = base_url
        self.pid = os.getpid()
        self.api: Any = connect(base_url)  # the stubs lack the half that is used here

    @property
    def is_local(self) -> bool:
        """Whether its files may be read directly: same machine, and we are root."""
        return self._direct and os.geteuid() == 0 and _socket_path(self.base_url) is not None

    def labels(self, kind: str) -> dict[str, str]:
        """The labels that tell a later sweep what this is and whose."""
        return {
            KIND: kind,
            SESSION: self.session,
            OWNER: owner_of_this_process(),
            DEADLINE: str(int(time.time()) + _LIFETIME_S),
        }

    def remove_container(self, container: str) -> None:
        """Kill and remove a container; nothing happens when it is gone or going."""
        try:
            self.api.remove_container(container, force=True, v=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != 409:  # its removal is in progress
                raise

    def remove_image(self, image: str) -> None:
        """Remove an image that nothing uses or builds on; else nothing happens."""
        try:
            self.api.remove_image(image, force=False, noprune=True)
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):
                raise

    def close(self) -> None:
        """Close the connections."""
        self.api.close()


def connect(base_url: str | None = None) -> Any:
    """Connect to an engine and see that it serves.

    Args:
        base_url: where it listens; ``DOCKER_HOST`` or the local socket when left out.

    Raises:
        BackendUnavailableError: the message says what would help.
    """
    options: dict[str, Any] = dict(docker.utils.kwargs_from_env())
    if base_url:
        options["base_url"] = base_url
    where = options.get("base_url") or "unix:///var/run/docker.sock"
    if where.startswith(("ssh://", "npipe://")):
        raise BackendUnavailableError(
            f"docker at {where}: only unix:// and tcp:// addresses are supported; "
            "forward the socket (ssh -L) and set DOCKER_HOST to its local end"
        )
    try:
        api = docker.APIClient(version="auto", timeout=_TIMEOUT_S, max_pool_size=64, **options)
        version = api.version()
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise BackendUnavailableError(_why_no_answer(where, error)) from error
    components = " ".join(str(part.get("Name", "")) for part in version.get("Components") or ())
    if "podman" in components.lower():
        raise BackendUnavailableError(
            f"podman answers at {where}; its socket lacks what sandboxes need: install Docker Engine "
            "20.10 or newer, or use the embedded back end"
        )
    numbers = tuple(int(part) for part in str(version.get("ApiVersion", "0.0")).split("."))
    if numbers < _MIN_API:
        raise BackendUnavailableError(
            f"Docker Engine {version.get('Version')} at {where} is too old: install 20.10 or newer"
        )
    if version.get("Os", "linux") != "linux":
        raise BackendUnavailableError(
            f"the engine at {where} does not run Linux containers: switch it over"
        )
    return api


def _why_no_answer(where: str, error: Exception) -> str:
    path = where.removeprefix("unix://").removeprefix("http+unix://")
    if where.startswith("/") or "unix://" in where:
        if not os.path.exists(path):
            way_out = "install Docker Engine (Debian: apt-get install docker.io) and start dockerd"
        elif not os.access(path, os.R_OK | os.W_OK):
            way_out = "you may not use the socket: run as root, or join the group docker and log in again"
        else:
            way_out = "start it (systemctl start docker, or dockerd as root)"
    else:
        way_out = "see that DOCKER_HOST names a running engine and DOCKER_CERT_PATH its certificates"
    return f"no docker engine answers at {where}: {way_out} ({_first_line(error)})"


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


def _socket_path(base_url: str | None) -> str | None:
    where = base_url or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    return where.removeprefix("unix://") if where.startswith("unix://") else None


@contextmanager
def told_as(
    kind: type[SandboxError] = SandboxLostError, what: str = "the sandbox is gone"
) -> Iterator[None]:
    """Tell every failure of the engine as one of ours.

    Args:
        kind: our error.
        what: what it means for the caller.
    """
    try:
        yield
    except docker.errors.APIError as error:
        raise kind(f"{what}: {_first_line(error.explanation or error)}") from error
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise kind(f"{what}: the docker engine does not answer ({_first_line(error)})") from error
    except OSError as error:
        raise kind(f"{what}: the connection to the docker engine broke ({_first_line(error)})") from error


# ── owners ──────────────────────────────────────────────────────────────────────────────────

_owner_lock = threading.Lock()
_owner: tuple[int, str] = (0, "")


def owner_of_this_process() -> str:
    """Name this process so that another one can tell whether it still lives."""
    global _owner  # noqa: PLW0603 - computed once for each process, forked ones too
    with _owner_lock:
        if _owner[0] != os.getpid():
            _owner = (os.getpid(), f"{_host()} {os.getpid()} {_start_time(os.getpid())}")
        return _owner[1]


def owner_is_dead(labels: Mapping[str, str]) -> bool:
    """Whether the process that made something is gone; of another machine's the deadline tells."""
    host, _, rest = labels.get(OWNER, "").partition(" ")
    pid, _, start = rest.partition(" ")
    if host == _host() and pid.isdigit():
        return _start_time(int(pid)) != start
    deadline = labels.get(DEADLINE, "")
    return deadline.isdigit() and int(deadline) < time.time()


def _host() -> str:
    """This boot of this machine, and the process ids that count here."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()}/{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def _start_time(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    state, *fields = line.rpartition(b") ")[2].split()
    return "" if state in (b"Z", b"X") else fields[18].decode("ascii")


def missing_null_device() -> bool:
    """Whether ``/dev/null`` is no device, which makes every start of a container fail."""
    try:
        return not stat.S_ISCHR(os.stat("/dev/null").st_mode)
    except OSError:
        return True

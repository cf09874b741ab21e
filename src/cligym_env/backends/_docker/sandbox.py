"""One sandbox: a container and what is done with it."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Callable, Mapping, Sequence

from cligym_env.backends._bash import BashSession
from cligym_env.backends._docker import archive, remote, rooted
from cligym_env.backends._docker.channel import ExecChannel
from cligym_env.backends._docker.command import Program, environ_of, run
from cligym_env.backends._docker.container import Container
from cligym_env.backends._docker.engine import told_as
from cligym_env.backends._docker.layers import LayerSnapshot, can_be_read
from cligym_env.backends._docker.remote import ApiSnapshot
from cligym_env.core import ExecResult, Image, Shell, Snapshot
from cligym_env.errors import ActionError, SandboxError, UsageError

__all__ = ["DockerSandbox", "ShellWish"]

ShellWish = tuple[str, str, tuple[tuple[str, str], ...]]
"""User, directory and environment of a shell, to have one ready."""


class DockerSandbox:
    """A sandbox in a container; keeps the promises of ``core.Sandbox``.

    Args:
        container: started.
        image: what it started from.
        give_back: removes the container.
        learn: is told which shell is asked for first.
        committed: is told of each image made.
    """

    def __init__(
        self,
        container: Container,
        image: Image,
        *,
        give_back: Callable[[Container], None],
        learn: Callable[[ShellWish], None],
        committed: Callable[[Image], None],
    ) -> None:
        self.image = image
        self.container = container
        self.backend: object = None
        self._give_back = give_back
        self._learn = learn
        self._committed = committed
        self._lock = threading.Lock()
        self._channels: list[ExecChannel] = []
        self._ready: tuple[ShellWish, BashSession] | None = None
        self._untouched = True
        self._result: Image | None = None

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout_s: float,
        user: str = "root",
        cwd: str | None = None,
        environ: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> ExecResult:
        """Run one command in a process of its own; see ``core.Sandbox.exec``."""
        argv = ["/bin/bash", "-c", command] if isinstance(command, str) else list(command)
        if not argv or any("\0" in word for word in argv):
            raise ActionError("a command needs a word, and cannot hold a NUL character")
        variables = _checked(environ, user)
        self._touch()
        return run(
            self.container,
            Program(argv, user, cwd or "/", variables),
            timeout_s=timeout_s,
            stdin=stdin,
            output_bytes=self.container.limits.output_bytes,
        )

    def shell(
        self, *, user: str = "root", cwd: str = "/", environ: Mapping[str, str] | None = None
    ) -> Shell:
        """Open a persistent shell; see ``core.Sandbox.shell``."""
        variables = _checked(environ, user)
        self.container.check_open()
        wish: ShellWish = (user, cwd, tuple(sorted(variables.items())))
        with self._lock:
            # A shell opened in advance is what one opened now would be, as long as nothing was done.
            ready, self._ready = self._ready, None
            untouched, self._untouched = self._untouched, False
        if untouched:
            self._learn(wish)
        if ready is not None:
            if untouched and ready[0] == wish:
                return ready[1]
            ready[1].close()
        return self._open(wish)

    def get_ready(self, wish: ShellWish | None) -> None:
        """Open the shell that will be asked for."""
        if wish is not None:
            self._ready = (wish, self._open(wish))

    def _open(self, wish: ShellWish) -> BashSession:
        user, cwd, variables = wish

        def channel(folder: str) -> ExecChannel:
            made = ExecChannel(self.container, user, folder, dict(variables))
            with self._lock:
                self._channels = [*(old for old in self._channels if not old.closed), made]
            return made

        return BashSession(channel, output_bytes=self.container.limits.output_bytes, cwd=cwd)

    def shell_pids(self) -> list[int]:
        """The process ids of the open shells, inside."""
        with self._lock:
            return [channel.pid for channel in self._channels if not channel.closed]

    def _touch(self) -> None:
        self.container.check_open()
        self._untouched = False

    # ── files ───────────────────────────────────────────────────────────────────────────────

    def read(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """A file's content; see ``core.Sandbox.read``."""
        self.container.check_open()
        path = _absolute(path)
        root = self.container.root
        if root:
            return rooted.read(root, path, max_bytes)
        return remote.read(self.container.engine, self.container.id, path, max_bytes)

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Write a file; see ``core.Sandbox.write``."""
        self.put(archive.one_file(_absolute(path), data, mode))

    def put(self, tar: bytes, *, remove: Sequence[str] = ()) -> None:
        """Remove paths, then unpack an archive; see ``core.Sandbox.put``."""
        self._touch()
        for path in remove:
            self._remove(_absolute(path))
        if not tar:
            return
        data = archive.rewritten(tar, self._kind)
        with told_as(SandboxError, "an archive cannot be unpacked"):
            try:
                self.container.engine.api.put_archive(self.container.id, "/", data)
            except Exception:
                self.container.check_running()
                raise

    def _kind(self, path: str) -> tuple[str, str]:
        root = self.container.root
        if root:
            return rooted.kind_of(root, path)
        return remote.kind_of(self.container.engine, self.container.id, path)

    def _remove(self, path: str) -> None:
        root = self.container.root
        if root:
            try:
                rooted.remove(root, path)
            except OSError as error:
                raise SandboxError(f"{path} cannot be removed: {error.strerror or error}") from error
            return
        # The engine has no call for it. The folder is resolved first, so that `rm` follows nothing.
        folder, name = posixpath.split(path)
        if not name or self._kind(path)[0] == "absent":
            return
        kind, target = self._kind(folder)
        real = target if kind == "link" else folder
        result = run(
            self.container,
            Program(
                ["/bin/rm", "-rf", "--one-file-system", "--", posixpath.join(real, name)],
                "root",
                "/",
                environ_of(None, "root"),
            ),
            timeout_s=300,
            stdin=b"",
            output_bytes=4096,
        )
        if result.exit_code != 0:
            raise SandboxError(f"{path} cannot be removed: {result.text.strip()[:200]}")

    # ── ends ────────────────────────────────────────────────────────────────────────────────

    def freeze(self) -> Snapshot:
        """End every process inside, for good; see ``core.Sandbox.freeze``."""
        self._end()
        container = self.container
        if container.upper and can_be_read(container.layers):
            return LayerSnapshot(container.layers)
        return ApiSnapshot(container.engine, container.id)

    def commit(self) -> Image:
        """Keep what changed as one layer; see ``core.Sandbox.commit``."""
        self._end()
        with self._lock:
            if self._result is None:
                engine = self.container.engine
                with told_as(SandboxError, "the sandbox cannot be committed"):
                    made = engine.api.commit(
                        self.container.id, conf={"Labels": engine.labels("image")}, pause=False
                    )
                self._result = Image("docker", made["Id"])
                self._committed(self._result)
            return self._result

    def close(self) -> None:
        """Give everything back; see ``core.Sandbox.close``."""
        if not self.container.closed:
            self.container.closed = True
            self._hang_up()
            self._give_back(self.container)

    def _end(self) -> None:
        if not self.container.closed:
            self.container.frozen = True  # no new process from here on
            self._hang_up()
        self.container.freeze()

    def _hang_up(self) -> None:
        with self._lock:
            channels, self._channels = self._channels, []
        for channel in channels:
            channel.close()


def _absolute(path: str) -> str:
    if "\0" in path:
        raise UsageError(f"a path cannot hold a NUL character: {path!r}")
    return path if path.startswith("/") else f"/{path}"


def _checked(environ: Mapping[str, str] | None, user: str) -> dict[str, str]:
    variables = environ_of(environ, user)
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            raise UsageError(f"not an environment variable: {name!r}={value!r}")
    return variables

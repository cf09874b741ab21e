"""One container: made, watched over, started anew as the last resort, killed, removed."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from typing import Any

from cligym_env.backends._docker.control import ENTRYPOINT, Control, ControlLostError
from cligym_env.backends._docker.engine import Engine, told_as
from cligym_env.backends._docker.flags import host_config
from cligym_env.backends._docker.stream import attach
from cligym_env.core import Image, Limits
from cligym_env.errors import BackendUnavailableError, ImageError, SandboxLostError

__all__ = ["Container"]

_OPEN_S = 120.0  # for the first process to answer; it takes milliseconds on a machine that is not busy
_REOPEN_S = 20.0


class Container:
    """A started container whose first process answers.

    Args:
        engine: where.
        image: what it starts from.
        limits: what it may use.

    Raises:
        ImageError: the engine does not have the image.
        BackendUnavailableError: the engine does not start it.
    """

    def __init__(self, engine: Engine, image: Image, limits: Limits) -> None:
        self.engine = engine
        self.limits = limits
        self.frozen = False
        self.closed = False
        self._ended = False
        self._removed = False
        self._lock = threading.Lock()
        self.layers: dict[str, str] = {}
        self._pid = 0
        self._token = f"cligym-{secrets.token_hex(8)}"
        self.id = self._create(image)
        self.dormant = False
        try:
            with told_as(BackendUnavailableError, "docker does not start a container"):
                self.control = self._start(_OPEN_S)
        except BackendUnavailableError as error:
            if "/bin/bash" not in str(error):
                self._discard()
                raise
            self.dormant = True  # the image has no programs: there are files to read and to put
        except BaseException:
            self._discard()
            raise

    def _create(self, image: Image) -> str:
        engine = self.engine
        with told_as(ImageError, f"image {image.ref}"):
            described = engine.api.inspect_image(image.ref)
        names = [entry.partition("=")[0] for entry in (described.get("Config") or {}).get("Env") or ()]
        # A name without a value takes a variable away.
        self.no_environ: dict[str, Any] = dict.fromkeys([*names, "PATH", "HOSTNAME"])
        with told_as(BackendUnavailableError, "docker does not make a container"):
            made = engine.api.create_container(
                image.ref,
                name=self._token,
                hostname="sandbox",
                user="0:0",
                working_dir="/",
                entrypoint=[*ENTRYPOINT, self._token],
                command=[],
                environment={},
                stdin_open=True,
                healthcheck={"test": ["NONE"]},
                labels=engine.labels("sandbox"),
                host_config=host_config(engine.api, self.limits),
            )
        return str(made["Id"])

    def _discard(self) -> None:
        with contextlib.suppress(SandboxLostError), told_as():
            self.engine.remove_container(self.id)

    def _start(self, timeout_s: float) -> Control:
        control = self.control = Control(attach(self.engine.api, self.id))
        try:
            self.engine.api.start(self.id)
            control.open(timeout_s)
            described = self.engine.api.inspect_container(self.id)
        except BaseException:
            control.close()
            raise
        self.layers = dict((described.get("GraphDriver") or {}).get("Data") or {})
        self._pid = int(described["State"]["Pid"])
        return control

    @property
    def root(self) -> str:
        """Its file system as it sees it, on this host; empty when it cannot be reached that way."""
        if not self.engine.is_local or self.frozen:
            return ""
        try:
            with open(f"/proc/{self._pid}/cmdline", "rb") as stream:
                ours = self._token.encode() in stream.read()
        except OSError:
            return ""
        return f"/proc/{self._pid}/root" if ours else ""

    @property
    def upper(self) -> str:
        """The folder that holds what changed, on this host; empty when it cannot be read."""
        path = self.layers.get("UpperDir", "")
        return path if path and self.engine.is_local and os.path.isdir(path) else ""

    def is_running(self) -> bool:
        """Whether it runs.

        Raises:
            SandboxLostError: it is gone.
        """
        with told_as():
            return bool(self.engine.api.inspect_container(self.id)["State"]["Running"])

    def check_running(self) -> None:
        """See that it runs.

        Raises:
            SandboxLostError: it does not.
        """
        self.check_open()
        if not self.dormant and not self.is_running():
            raise SandboxLostError("the sandbox has stopped: its container was killed from outside")

    def check_open(self) -> None:
        """See that we have not ended it ourselves.

        Raises:
            SandboxLostError: it was closed or frozen.
        """
        if self.closed or self.frozen:
            raise SandboxLostError("the sandbox is closed" if self.closed else "the sandbox is frozen")

    def restart(self, lost: Control) -> None:
        """Kill all that runs in it and start it anew on the same disk.

        Args:
            lost: what does not answer any more; nothing happens when another one stands in its place.

        Raises:
            SandboxLostError: that does not work.
        """
        with self._lock:
            self.check_open()
            if self.control is not lost:
                return
            self.control.close()
            with told_as():
                self._kill()
                try:
                    self.control = self._start(_REOPEN_S)
                except ControlLostError as error:
                    raise SandboxLostError(f"the sandbox does not start again: {error}") from error

    def _kill(self) -> None:
        if self.engine.api.inspect_container(self.id)["State"]["Running"]:
            try:
                self.engine.api.kill(self.id)
            except Exception:
                if self.engine.api.inspect_container(self.id)["State"]["Running"]:
                    raise
        self.engine.api.wait(self.id, timeout=240)

    def freeze(self) -> None:
        """Kill all that runs in it, for good; harmless twice.

        Raises:
            SandboxLostError: it is gone.
        """
        with self._lock:
            if self.closed:
                raise SandboxLostError("the sandbox is closed")
            if not self._ended:
                self.frozen = True
                self.control.close()  # first: the engine waits for whoever does not read what is printed
                with told_as():
                    self._kill()
                self._ended = True

    def remove(self) -> None:
        """Kill and remove it; harmless twice.

        Raises:
            SandboxLostError: the engine does not do it.
        """
        self.closed = True
        with self._lock:
            if self._removed:
                return
            self._removed = True
        self.control.close()
        with told_as():
            self.engine.remove_container(self.id)

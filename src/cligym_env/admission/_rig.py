"""What every gate needs: a gold, a back end, and fresh sandboxes that are given back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from cligym_env import gold as golds
from cligym_env import plugins, tasks
from cligym_env.core import (
    Backend,
    Gold,
    Image,
    Limits,
    Outcome,
    PathState,
    Sandbox,
    SuiteResult,
    Task,
    Verdict,
)
from cligym_env.errors import SandboxError
from cligym_env.verify import Images, verify

__all__ = ["Rig"]

_FIND_TIMEOUT_S = 300.0
_N_TRIES = 3


@dataclass(slots=True)
class Rig:
    """A gold on a back end.

    Attributes:
        gold: the gold.
        backend: where sandboxes start.
    """

    gold: Gold
    backend: Backend
    _base: list[Image] = field(default_factory=list)

    @property
    def base(self) -> Image:
        """The gold's image; built when it is missing."""
        if not self._base:
            self._base.append(golds.image(self.gold, self.backend))
        return self._base[0]

    @contextmanager
    def start(self, image: Image | None = None) -> Iterator[Sandbox]:
        """Lend a fresh sandbox, of the gold when no image is named."""
        sandbox = self.backend.start(image or self.base, Limits())
        try:
            yield sandbox
        finally:
            sandbox.close()

    def run_suite(self, image: Image | None = None) -> SuiteResult:
        """Run the whole suite in a fresh sandbox."""
        return self.run_and_watch(image, (), timeout_s=self.gold.timeout_s)[0]

    def run_and_watch(
        self, image: Image | None, paths: Sequence[PathState], *, timeout_s: float
    ) -> tuple[SuiteResult, tuple[str, ...]]:
        """Run the whole suite in a fresh sandbox; also tell which broken paths it mended by itself."""
        runner = plugins.create("runners", self.gold.runner)
        with self.start(image) as sandbox:
            result: SuiteResult = runner.run(self.gold, sandbox, timeout_s=timeout_s)
            if not paths:
                return result, ()
            after = sandbox.freeze()
            mended = [state.path for state in paths if tasks.same(after.entry(state.path), state.gold)]
        return result, tuple(mended)

    def verdict(self, task: Task, image: Image, commands: Sequence[str] = ()) -> Verdict:
        """Type commands into a fresh sandbox of a task's image, and let the verifier judge its disk.

        Raises:
            SandboxError: the machine failed ``_N_TRIES`` times.
        """
        images = Images(self.base, image)
        for _ in range(_N_TRIES):
            with self.start(image) as sandbox:
                if commands:
                    tasks.replay(commands, self.gold, sandbox)
                verdict = verify(task, self.gold, sandbox.freeze(), self.backend, images=images)
            if verdict.outcome is not Outcome.ERROR:
                return verdict
        raise SandboxError(f"verifying {task.id}: {verdict.reason}")

    def inside(self, path: str) -> Sequence[str]:
        """List what a folder of the gold holds, at any depth."""
        with self.start() as sandbox:
            done = sandbox.exec(
                ["/usr/bin/find", path, "-mindepth", "1", "-print0"], timeout_s=_FIND_TIMEOUT_S
            )
        return [name for name in done.output.decode("utf-8", "surrogateescape").split("\0") if name]

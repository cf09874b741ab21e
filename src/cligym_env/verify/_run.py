"""Runs the suite on a graft and tells the machine's trouble from the policy's."""

from __future__ import annotations

from collections.abc import Sequence

from cligym_env import plugins
from cligym_env.core import Backend, Gold, Image, Limits, SuiteResult
from cligym_env.errors import SandboxError
from cligym_env.verify._graft import Graft

__all__ = ["MAX_MISSES", "MAX_RETRIES", "Suite"]

MAX_RETRIES = 2
MAX_MISSES = 2
"""So many guarding tests may miss for reasons of their own; they get one more run."""


class Suite:
    """The gold's suite, and the one question whose answer no policy can touch: does gold pass here, now?

    Args:
        gold: the gold.
        backend: where sandboxes start.
        image: of the gold.
    """

    def __init__(self, gold: Gold, backend: Backend, image: Image) -> None:
        self._gold, self._backend, self._image = gold, backend, image
        self._runner = plugins.create("runners", gold.runner)

    @property
    def has_canaries(self) -> bool:
        """Whether its runner can make chosen tests fail; only then may a policy's own code run."""
        return bool(getattr(self._runner, "has_canaries", False))

    def run(self, graft: Graft, *, only: Sequence[str] = (), canaries: Sequence[str] = ()) -> SuiteResult:
        """Run the suite in a fresh sandbox of a graft.

        Args:
            graft: the disk.
            only: node ids; all when empty.
            canaries: node ids that are to fail.

        Returns:
            A whole report; or one that is not whole although gold's is, here and now: what the
            policy left is to blame then.

        Raises:
            SandboxError: the machine failed, and again at each of ``MAX_RETRIES`` retries.
        """
        trouble: SandboxError | None = None
        result = SuiteResult({}, False, None)
        for attempt in range(MAX_RETRIES + 1):
            try:
                result = self._once(graft, only, canaries)
                trouble = None
            except SandboxError as error:
                trouble = error
            if trouble is None and result.complete:
                return result
            blameless = graft.is_gold or not self._gold_passes()
            overran = trouble is None and result.exit_code is None
            if not blameless and (attempt or overran):
                return SuiteResult(result.outcomes, False, result.exit_code, result.log)
        raise trouble or SandboxError("the suite gave no whole report")

    def _once(self, graft: Graft, only: Sequence[str], canaries: Sequence[str]) -> SuiteResult:
        chosen = {"canaries": tuple(canaries)} if canaries else {}
        with graft.start() as sandbox:
            result: SuiteResult = self._runner.run(
                self._gold, sandbox, timeout_s=self._gold.timeout_s, only=tuple(only), **chosen
            )
        return result

    def _gold_passes(self) -> bool:
        try:
            sandbox = self._backend.start(self._image, Limits())
            try:
                result = self._runner.run(self._gold, sandbox, timeout_s=self._gold.timeout_s)
            finally:
                sandbox.close()
        except SandboxError:
            return False
        missed = set(self._gold.passing) - result.passed
        return result.complete and len(missed) <= MAX_MISSES

"""Open this first: the nouns of the library, and the contracts its plug-ins keep.

Data takes one way through them::

    repository ─▶ Gold ─(BreakerEnv + Policy)─▶ Inversion ─(admission)─▶ Task
       ─▶ gym.make("CLIGym/<id>") ─(RepairEnv + Policy)─▶ Trajectory ─▶ Exporter ─▶ training

Nouns are frozen dataclasses, contracts are Protocols; a plug-in needs no base class of ours. This
module imports the standard library only. Units stand in names (``_s`` seconds, ``_bytes``,
``_chars``; counts ``n_``); a place inside a sandbox is a ``str``, on the host a ``Path``.

Source of the method: agentic environment inversion, CLI-Gym, arXiv 2602.10999, section 3.

=================  ==================================================================
``machines``       images, sandboxes, shells, snapshots, back ends
``repositories``   golds, what their suites touch, runners
``tasks``          inversions, fault families, tasks
``episodes``       turns, policies, verdicts, trajectories, exporters
=================  ==================================================================
"""

from __future__ import annotations

from cligym_env.core.episodes import (
    Call,
    Exporter,
    Outcome,
    Policy,
    Reward,
    Trajectory,
    Turn,
    Verdict,
)
from cligym_env.core.machines import (
    Backend,
    Entry,
    ExecResult,
    Image,
    Limits,
    Sandbox,
    Shell,
    Snapshot,
)
from cligym_env.core.repositories import (
    Gold,
    Runner,
    Source,
    SuiteResult,
    Usage,
)
from cligym_env.core.tasks import (
    CATEGORIES,
    FaultFamily,
    Inversion,
    PathState,
    Task,
)

__all__ = [
    "CATEGORIES",
    "Backend",
    "Call",
    "Entry",
    "ExecResult",
    "Exporter",
    "FaultFamily",
    "Gold",
    "Image",
    "Inversion",
    "Limits",
    "Outcome",
    "PathState",
    "Policy",
    "Reward",
    "Runner",
    "Sandbox",
    "Shell",
    "Snapshot",
    "Source",
    "SuiteResult",
    "Task",
    "Trajectory",
    "Turn",
    "Usage",
    "Verdict",
]

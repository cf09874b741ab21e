"""Admission: the gates between a candidate and a task. See ``docs/tasks.md``.

A task is admitted only when all hold, cheapest first:

============  ===============================================================================
gold          the gold's passing set passes
replay        every command ends with 0, and two replays from gold change the same
paths         no test, configuration, git, shell start-up or temporary path; few, and small
leaks         nothing in the broken environment hands the original back
broken        the same tests fail in three fresh sandboxes, and at least one does
pass_to_pass  at least one test still passes
instruction   its symptoms are real, and none of its texts names the cause
size          the folder keeps to 16 KB of text
noop          doing nothing earns 0
solution      the solution earns 1 in three fresh sandboxes
============  ===============================================================================
"""

from __future__ import annotations

from cligym_env.admission._gates import GATES, N_BROKEN, N_SOLUTION, admit
from cligym_env.admission._validate import N_GOLD, Validation, count_gold, validate

__all__ = ["GATES", "N_BROKEN", "N_GOLD", "N_SOLUTION", "Validation", "admit", "count_gold", "validate"]

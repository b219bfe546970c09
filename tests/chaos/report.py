"""What a run has found, as a person and as a program read it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Report:
    """The outcome of a run.

    ``lost``: orders that were promised and are gone, or that neither ended nor wait for a person. ``recovery_*``:
    seconds from the end of an injection until every order that was under way then had ended (later faults included).
    ``audit``: ``"clean"``, or all that is wrong. ``vacuous``: why the run proves nothing, if it does not.
    """

    fault: str
    seed: int
    orders: int
    completed: int
    compensated: int
    parked: int
    lost: int
    faults_injected: int
    duplicates_refused: int
    recovery_p50_s: float
    recovery_max_s: float
    audit: str | list[str]
    ok: bool
    vacuous: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """One object."""
        found = asdict(self)
        del found["vacuous"]  # "ok" says it
        return json.dumps(found)

    def in_words(self) -> str:
        """A line, and one more for each thing that is wrong."""
        problems = [] if self.audit == "clean" else list(self.audit)
        lines = [
            f"{'ok    ' if self.ok else 'FAILED'} {self.fault:20} {self.orders} orders: {self.completed} completed,"
            f" {self.compensated} compensated, {self.parked} parked, {self.lost} lost; {self.faults_injected} faults;"
            f" {self.duplicates_refused} refused; recovery p50 {self.recovery_p50_s} s, max {self.recovery_max_s} s"
            f" (seed {self.seed})"
        ]
        return "\n".join([*lines, *(f"       - {problem}" for problem in [*problems, *self.vacuous])])

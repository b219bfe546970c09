"""What a benchmark found: medians over its rounds, and ratios pair by pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tests.bench.machine import machine


@dataclass(frozen=True)
class Goal:
    """A figure that must reach a mark.

    Args:
        what: the figure, in words.
        value: what was measured.
        mark: what it must reach.
        at_most: whether less is better.
    """

    what: str
    value: float
    mark: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.value <= self.mark if self.at_most else self.value >= self.mark

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        sign = "at most" if self.at_most else "at least"
        return {
            "what": self.what,
            "value": tidy(self.value),
            "goal": f"{sign} {self.mark:g}",
            "met": self.met,
        }


@dataclass
class Result:
    """One benchmark's outcome.

    Args:
        bench: its name.
        unit: of ``ours``, ``other`` and ``ceiling``.
        samples: for each case, its figure in each round.
        roles: which case is ``ours``, ``other`` and ``ceiling``.
        less_is_better: whether a ratio is theirs / ours instead of ours / theirs, so that more is always better.
        cpu: for each case, microseconds of CPU per message (or order) by process tree.
        figures: what else was found, by name.
        notes: what one must know to read the figures.
        goals: what must be reached.
    """

    bench: str
    unit: str
    samples: Mapping[str, Sequence[float]]
    roles: Mapping[str, str]
    less_is_better: bool = False
    cpu: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    goals: Sequence[Goal] = ()

    def of(self, role: str) -> float | None:
        """The median of the case in that role."""
        case = self.roles.get(role)
        return median(self.samples[case]) if case else None

    def ratio(self, role: str) -> float | None:
        """How ours compares with the case in that role: the median of the rounds' own ratios."""
        case = self.roles.get(role)
        return self.ratio_to(case) if case else None

    def ratio_to(self, case: str, ours: str = "") -> float:
        """As :meth:`ratio`, for any two cases."""
        pairs = zip(self.samples[ours or self.roles["ours"]], self.samples[case], strict=True)
        return median(
            _ratio(other, own) if self.less_is_better else _ratio(own, other) for own, other in pairs
        )

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "bench": self.bench,
            "unit": self.unit,
            "ours": tidy(self.of("ours")),
            "other": tidy(self.of("other")),
            "ceiling": tidy(self.of("ceiling")),
            "ratio_other": tidy(self.ratio("other")),
            "ratio_ceiling": tidy(self.ratio("ceiling")),
            "rounds": len(self.samples[self.roles["ours"]]),
            "roles": dict(self.roles),
            "samples": {case: [tidy(value) for value in values] for case, values in self.samples.items()},
            "cpu_us": {case: {k: tidy(v) for k, v in trees.items()} for case, trees in self.cpu.items()},
            "figures": dict(self.figures),
            "goals": [goal.as_json() for goal in self.goals],
            "notes": list(self.notes),
            "machine": machine(),
        }


def tidy(value: float | None) -> float | None:
    """A figure with as many digits as it can be trusted for, at most."""
    return None if value is None else float(f"{value:.4g}")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share (0 to 1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("inf")

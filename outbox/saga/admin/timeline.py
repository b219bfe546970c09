"""A saga's life as lanes on a time axis: what the drawing shows, taken from its rows. No HTML here.

Nothing is assumed about the words of transitions but that ``attempt started`` begins an attempt and that the next line
of the same step ends it: whatever the engine learns to say is drawn without a change here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from outbox.saga.models import Saga, SagaStep, SagaTransition

Status = SagaStep.Status
BEGIN = "attempt started"
WAITS = "waits"
KINDS = {
    "succeeded": "good",
    "completed": "good",
    "will retry": "retry",
    "given up": "bad",
    "failed": "bad",
    "parked": "stopped",
    "paused": "stopped",
    "resumed": "work",
    "unpaused": "work",
    "compensating": "undo",
    WAITS: "away",
}
"""How a line of the history looks; anything else is ``plain``."""
PHASES = ("compensating", "parked", "paused", "resumed", "unpaused")
MINUTE, HOUR = 60, 3600
NICE_SECONDS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 6, 12, 24)),
)
MOST_TICKS = 4


@dataclass(frozen=True)
class Bar:
    """A span of a lane.

    Args:
        kind: ``good``, ``retry``, ``bad`` or ``work`` (an attempt by its end), ``wait`` (for a queue or a retry),
            ``away`` (for a service), ``undo`` and ``stopped`` (phases of the saga), ``plain``.
        start, end: its times.
        line: the transition that explains it, if there is one.
        is_open: it has not ended.
    """

    kind: str
    start: datetime
    end: datetime
    line: SagaTransition | None = None
    is_open: bool = False

    @property
    def is_wait(self) -> bool:
        """Whether nothing is at work."""
        return self.kind in ("wait", "away")


@dataclass(frozen=True)
class Lane:
    """One direction of a step; or the saga itself, whose lane has no step.

    Args:
        step: the row.
        bars: from left to right.
        marks: single moments.
    """

    step: SagaStep | None
    bars: list[Bar]
    marks: list[SagaTransition] = field(default_factory=list)


@dataclass(frozen=True)
class Timeline:
    """What is drawn.

    Args:
        lanes: the saga's own first, then each step in the order of reaching.
        start, end: the axis.
        is_cut: earlier history is not shown.
    """

    lanes: list[Lane]
    start: datetime
    end: datetime
    is_cut: bool

    @property
    def span(self) -> timedelta:
        """Its length; never zero."""
        return max(self.end - self.start, timedelta(milliseconds=10))

    def place(self, at: datetime) -> float:
        """Where a moment is on the axis, in percent."""
        return min(100.0, max(0.0, 100 * (at - self.start) / self.span))

    def ticks(self) -> Iterator[tuple[float, timedelta]]:
        """A few round distances from the beginning, with their places in percent."""
        seconds = self.span.total_seconds()
        step = next((s for s in NICE_SECONDS if seconds / s <= MOST_TICKS), seconds / MOST_TICKS)
        for number in range(int(seconds / step) + 1):
            yield 100 * number * step / seconds, timedelta(seconds=number * step)


def timeline_of(
    saga: Saga, steps: Sequence[SagaStep], lines: Sequence[SagaTransition], now: datetime, *, is_cut: bool
) -> Timeline:
    """The drawing of a saga.

    Args:
        steps: its rows, in the order of reaching.
        lines: its history, or the latest part of it, oldest first.
        now: the database's clock.
        is_cut: whether ``lines`` is only a part.
    """
    start = lines[0].at if is_cut and lines else saga.started_at
    end = saga.ended_at or max(now, start)
    own = [line for line in lines if not line.step]
    lanes = [Lane(None, list(_phases(saga, own, start, end)), own)]
    lanes += [_lane(step, [line for line in lines if _is_of(line, step)], start, end) for step in steps]
    return Timeline(lanes, start, end, is_cut)


def _is_of(line: SagaTransition, step: SagaStep) -> bool:
    return (line.step, line.direction) == (step.name, step.direction)


def _phases(saga: Saga, lines: Iterable[SagaTransition], start: datetime, end: datetime) -> Iterator[Bar]:
    """The saga's own lane: a new phase begins where it turns, stops, or goes on."""
    turns = [line for line in lines if line.what in PHASES]
    edges = [start, *(line.at for line in turns), end]
    kinds = ["work", *(KINDS[line.what] for line in turns)]
    for kind, line, (begin, until) in zip(kinds, [None, *turns], pairwise(edges), strict=True):
        is_open = saga.ended_at is None and until == end
        yield Bar(
            "good" if kind == "work" and saga.status == Saga.Status.COMPLETED else kind,
            begin,
            until,
            line,
            is_open,
        )


def _lane(step: SagaStep, lines: Sequence[SagaTransition], start: datetime, end: datetime) -> Lane:
    """Waits and attempts by turns: every line ends what was before it."""
    open_ = step.status in (Status.SCHEDULED, Status.RUNNING)
    until = end if open_ else (step.ended_at or end)
    since, before = max(start, min(step.scheduled_at, lines[0].at) if lines else step.scheduled_at), None
    bars, marks = [], []
    for line in lines:
        bars.append(Bar(_kind(before, line), since, max(since, line.at), _explains(before, line)))
        if line.what not in (BEGIN, WAITS) and (before is None or before.what != BEGIN):
            marks.append(line)
        since, before = max(since, line.at), line
    if open_:
        bars.append(Bar(_kind(before, None), since, max(since, until), before, is_open=True))
    return Lane(step, [bar for bar in bars if not bar.is_wait or bar.end > bar.start], marks)


def _kind(before: SagaTransition | None, ends: SagaTransition | None) -> str:
    """What lies between two lines of a step."""
    if before is not None and before.what == BEGIN:
        return "work" if ends is None else KINDS.get(ends.what, "plain")
    return "away" if before is not None and before.what == WAITS else "wait"


def _explains(before: SagaTransition | None, ends: SagaTransition) -> SagaTransition | None:
    """An attempt is explained by its end, a wait by what began it."""
    return ends if before is not None and before.what == BEGIN else before

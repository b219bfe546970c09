"""The drawn timeline: what lies between two lines of a saga's history. No database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from outbox.saga.admin.drawing import span
from outbox.saga.admin.timeline import Timeline, timeline_of
from outbox.saga.models import Saga, SagaStep, SagaTransition

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So many seconds after the saga began."""
    return BEGIN + timedelta(seconds=seconds)


def saga(**columns: object) -> Saga:
    """A saga that began at the beginning."""
    return Saga(**{"id": uuid4(), "definition": "a.b", "status": "running", "started_at": BEGIN, **columns})


def step(status: str, *, ended: float | None = None, attempt: int = 1) -> SagaStep:
    """The payment step, scheduled one second after the beginning."""
    return SagaStep(
        name="payment",
        direction="action",
        status=status,
        attempt=attempt,
        scheduled_at=at(1),
        ended_at=None if ended is None else at(ended),
    )


def line(seconds: float, what: str, *, of: str = "payment", attempt: int | None = None) -> SagaTransition:
    """A line of the history."""
    direction = "action" if of else ""
    return SagaTransition(
        pk=round(seconds * 100), at=at(seconds), what=what, step=of, direction=direction, attempt=attempt
    )


def drawn(timeline: Timeline, lane: int = 1) -> list[tuple[str, float, float]]:
    """The bars of a lane: kind, from, to (seconds)."""
    return [
        (bar.kind, (bar.start - BEGIN).total_seconds(), (bar.end - BEGIN).total_seconds())
        for bar in timeline.lanes[lane].bars
    ]


def test_attempts_and_the_waits_between_them() -> None:
    """Waits for its queue, fails, waits for its retry, succeeds."""
    lines = [
        line(2, "attempt started"),
        line(3, "will retry"),
        line(5, "attempt started"),
        line(6, "succeeded"),
    ]
    made = timeline_of(saga(), [step("succeeded", ended=6)], lines, at(10), is_cut=False)
    assert drawn(made) == [("wait", 1, 2), ("retry", 2, 3), ("wait", 3, 5), ("good", 5, 6)]
    assert [bar.line.what for bar in made.lanes[1].bars if bar.line] == [
        "will retry",
        "will retry",
        "succeeded",
    ]


def test_what_is_at_work_reaches_to_now() -> None:
    """An attempt without an end, and a saga without one."""
    made = timeline_of(saga(), [step("running")], [line(2, "attempt started")], at(7), is_cut=False)
    assert drawn(made)[-1] == ("work", 2, 7)
    assert made.lanes[1].bars[-1].is_open
    assert drawn(made, lane=0) == [("work", 0, 7)]


def test_a_wait_for_a_service_is_told_apart() -> None:
    """From the line that says so until it begins, or until now."""
    made = timeline_of(saga(), [step("scheduled", attempt=0)], [line(2, "waits")], at(9), is_cut=False)
    assert drawn(made) == [("wait", 1, 2), ("away", 2, 9)]


def test_the_sagas_own_phases() -> None:
    """It goes, turns back, stops, goes on."""
    lines = [line(3, "compensating", of=""), line(5, "parked", of=""), line(8, "resumed", of="")]
    made = timeline_of(saga(), [], lines, at(9), is_cut=False)
    assert drawn(made, lane=0) == [("work", 0, 3), ("undo", 3, 5), ("stopped", 5, 8), ("work", 8, 9)]


def test_words_that_it_does_not_know_are_drawn_all_the_same() -> None:
    """A new line of the engine is a mark, and ends an attempt as any other."""
    lines = [line(2, "attempt started"), line(3, "teleported"), line(4, "admired")]
    made = timeline_of(saga(), [step("succeeded", ended=4)], lines, at(9), is_cut=False)
    assert ("plain", 2, 3) in drawn(made)
    assert [mark.what for mark in made.lanes[1].marks] == ["admired"]


def test_nothing_lies_outside_the_axis() -> None:
    """Also for a saga that ended in the instant in which it began, and clocks that differ."""
    lines = [line(-1, "attempt started"), line(0, "succeeded")]
    made = timeline_of(saga(ended_at=BEGIN), [step("succeeded", ended=0)], lines, at(-5), is_cut=False)
    places = [made.place(moment) for bar in made.lanes[1].bars for moment in (bar.start, bar.end)]
    assert all(0 <= place <= 100 for place in places)


@pytest.mark.parametrize("seconds", [0.05, 3, 59, 3600, 86_400 * 3, 86_400 * 400])
def test_the_axis_has_a_few_ticks(seconds: float) -> None:
    """Whatever the span is."""
    ticks = list(timeline_of(saga(), [], [], at(seconds), is_cut=False).ticks())
    assert 1 <= len(ticks) <= 5
    assert all(0 <= place <= 100.001 for place, _ in ticks)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (0.012, "12 ms"), (1.5, "1.5 s"), (12, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_spans_are_short(seconds: float, text: str) -> None:
    """As exact as they are short."""
    assert span(timedelta(seconds=seconds)) == text

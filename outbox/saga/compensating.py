"""The way back: what may have happened and is to be undone, in reverse order, and what cannot be."""

from __future__ import annotations

from outbox.saga.models import Saga, SagaStep
from outbox.saga.steps import Step
from outbox.saga.store import FromNow
from outbox.saga.turn import Turn

Status = SagaStep.Status
CURRENT = (Saga.Status.RUNNING, Saga.Status.COMPENSATING)
"""Sagas that go on by themselves."""
STUCK = (Status.FAILED, Status.UNKNOWN)


def stuck_rows(t: Turn, direction: str) -> list[SagaStep]:
    """Steps that have ended without success."""
    return [row for row in t.steps(direction) if row.status in STUCK]


def is_past_pivot(t: Turn) -> bool:
    """Whether there is no way back any more."""
    return any(
        t.definition.step(row.name).pivot and row.status == Status.SUCCEEDED for row in t.steps("action")
    )


def may_turn_back(t: Turn) -> bool:
    """Whether all that has happened can be undone: the pivot is not done, and nothing that has no undo may have.

    Where people skip a pivot, steps behind it that have no undo may be done.
    """
    ended = [row for row in t.steps("action") if row.status not in SagaStep.OPEN]
    return not is_past_pivot(t) and not any(_cannot_be_undone(t, row) for row in ended)


def is_turning_back(t: Turn) -> bool:
    """Whether attempts at work are awaited only to be undone."""
    return (t.saga.cancel_requested or bool(stuck_rows(t, "action"))) and may_turn_back(t)


def call_off_waiting(t: Turn, reason: str) -> None:
    """End the steps that are not at work. One that may have happened and has no undo stays: its next attempt tells."""
    for row in t.steps("action"):
        if row.status == Status.RUNNING or row.status not in SagaStep.OPEN or _cannot_be_undone(t, row):
            continue
        t.call_off(row, f"The saga was called off: {reason}")
        status = Status.UNKNOWN if row.may_have_happened else Status.CANCELLED
        t.change(row, status=status, ended_at=FromNow(0), locked_until=None, held=False)
        t.note("called off", row, reason)


def next_to_undo(t: Turn) -> list[Step]:
    """The steps that come next on the way back: of those that happened and are not undone, the latest ones.

    Steps that ran side by side are undone side by side.
    """
    undone = {row.name for row in t.steps("compensation")}
    left = [row for row in t.steps("action") if _is_to_be_undone(t, row) and row.name not in undone]
    latest = max((row.position for row in left), default=0)
    return [t.definition.step(row.name) for row in left if row.position == latest]


def _is_to_be_undone(t: Turn, row: SagaStep) -> bool:
    happened = row.status in (Status.SUCCEEDED, Status.UNKNOWN) or (
        row.may_have_happened and row.status == Status.SKIPPED
    )
    return happened and t.definition.step(row.name).compensation is not None


def _cannot_be_undone(t: Turn, row: SagaStep) -> bool:
    step = t.definition.step(row.name)
    happened = row.may_have_happened or row.status in (Status.SUCCEEDED, Status.UNKNOWN)
    return happened and step.compensation is None and not step.waits_for

"""What follows from the end of a step: the next stage, the way back, or the end of the saga."""

from __future__ import annotations

from collections.abc import Iterable

from outbox.saga import compensating, results
from outbox.saga.compensating import may_turn_back, stuck_rows
from outbox.saga.models import Saga, SagaStep
from outbox.saga.steps import Step
from outbox.saga.store import FromNow
from outbox.saga.turn import Turn
from outbox.wording import describe

Status = SagaStep.Status
DONE = (Status.SUCCEEDED, Status.SKIPPED)


def advance(t: Turn) -> None:
    """Do whatever follows from the rows as they are now; nothing while something is still at work."""
    if t.saga.status == Saga.Status.COMPENSATING:
        _go_back(t)
    elif t.saga.status == Saga.Status.RUNNING:
        if stuck_rows(t, "action") or (t.saga.cancel_requested and may_turn_back(t)):
            _turn_back(t)
        else:
            results.take_back_cancellation(t)
            _go_forward(t)


def open_stage(t: Turn, stage: Iterable[Step]) -> bool:
    """Reach the steps of a stage, all of them. A wait whose event has come already takes it at once.

    Returns whether there was such an event: then look again what follows.
    """
    waits = False
    for step in stage:
        waits = waits or bool(step.waits_for)
        _ = t.wait(step) if step.waits_for else t.schedule(step, "action")
    return waits and results.take_signals(t) > 0


def reopen(t: Turn, row: SagaStep) -> None:
    """Have a step tried again, with a fresh set of tries and the same idempotency key.

    An attempt that is still at work somewhere loses its hold: its number is not the next one's.
    """
    step = t.definition.step(row.name)
    if step.waits_for:
        t.change(row, status=Status.WAITING, ended_at=None, locked_until=FromNow(step.timeout))
        return
    if row.status == Status.RUNNING and not step.operation(row.direction).is_local:
        t.change(row, may_have_happened=True)
    t.rearm(row, 0)
    fresh = {"status": Status.SCHEDULED, "tries": 0, "ended_at": None, "locked_until": None, "asking": False}
    t.change(row, **fresh, scheduled_at=FromNow(0), held=False)


def park(t: Turn, reason: str) -> None:
    """Wait for a person: nothing more happens by itself."""
    reason = describe(reason)
    t.update(status=Saga.Status.NEEDS_ATTENTION, attention=reason)
    t.note("parked", detail=reason)
    t.definition.on_parked(t.saga.id, t.saga.key, reason)


def _go_forward(t: Turn) -> None:
    rows = t.steps("action")
    for row in rows:
        if row.status == Status.CANCELLED:
            reopen(t, row)  # called off on a way back that was not taken after all
    if any(row.status not in DONE for row in rows):
        return  # the join: what follows waits for all of them
    reached = max((row.position for row in rows), default=-1)
    for stage in t.definition.stages[max(reached, 0) :]:
        missing = [step for step in stage if t.step(step.name, "action") is None]
        if missing:
            if open_stage(t, missing):
                advance(t)
            return
    _close(t, Saga.Status.COMPLETED, "completed")
    t.definition.on_completed(t.saga.id, t.saga.key, "")


def _turn_back(t: Turn) -> None:
    """A step has failed, or the saga is called off: compensate, or park, when nothing is at work any more."""
    way_back = may_turn_back(t)
    if way_back:
        compensating.call_off_waiting(t, t.saga.reason)
    rows = t.steps("action")
    if any(row.status in SagaStep.OPEN for row in rows):
        return
    stuck = stuck_rows(t, "action")
    if not may_turn_back(t):
        park(t, stuck[0].last_error if stuck else t.saga.reason)
        return
    t.update(status=Saga.Status.COMPENSATING)
    t.note("compensating", detail=t.saga.reason)
    t.definition.on_compensating(t.saga.id, t.saga.key, t.saga.reason)
    advance(t)


def _go_back(t: Turn) -> None:
    if any(row.status in SagaStep.OPEN for row in t.rows):
        return
    if stuck := stuck_rows(t, "compensation"):
        park(t, stuck[0].last_error)
        return
    if following := compensating.next_to_undo(t):
        for step in following:
            t.schedule(step, "compensation")
        return
    _close(t, Saga.Status.COMPENSATED, "compensated")
    t.definition.on_compensated(t.saga.id, t.saga.key, t.saga.reason)


def _close(t: Turn, status: Saga.Status, what: str) -> None:
    t.update(status=status, ended_at=FromNow(0))
    t.note(what, detail=t.saga.reason)

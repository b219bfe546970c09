"""The saga's transitions. Each is called inside a :func:`outbox.saga.turn.turn`: one transaction, saga locked.

A saga has at most one step at work. A step's outcome is accepted only from the attempt that holds its lease; late
ones are refused. What *may have happened* is compensated: a step that was given up without a clear answer counts as
done, also when a later attempt of it was refused. See ``docs/state-machines.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from outbox.consumption import call_off, rearm
from outbox.exceptions import PermanentError
from outbox.publish import require_transaction
from outbox.saga.definition import Step
from outbox.saga.models import Saga, SagaStep
from outbox.saga.registry import definition_of
from outbox.saga.turn import Turn, lease, opening
from outbox.wording import describe

Status = SagaStep.Status
UNDOABLE = (Status.SUCCEEDED, Status.UNKNOWN)


def start(name: str, key: str, *, actor: str = "") -> UUID:
    """Open a saga and send its first step's command, in the caller's transaction.

    Args:
        name: of a registered definition.
        key: the business thing it works on; one saga of a definition for each key.
        actor: who started it, for the history.

    Raises:
        PublishOutsideTransaction: no transaction is open.
        UnknownSaga: no such definition.
        IntegrityError: there is a saga of that definition and key.
    """
    require_transaction(f"The saga {name}")
    definition = definition_of(name)
    with opening(definition, key, actor) as t:
        t.note("started")
        t.schedule(definition.steps[0], "action")
        return t.saga.id


def begin(t: Turn, row: SagaStep, step: Step) -> bool:
    """Scheduled → Running: one more attempt, under a lease. ``False`` when there is nothing to begin."""
    if row.status != Status.SCHEDULED or t.saga.status not in (Saga.Status.RUNNING, Saga.Status.COMPENSATING):
        return False
    t.change(row, **lease(step.timeout))
    row.attempt += 1
    row.tries += 1
    row.status = Status.RUNNING
    t.note("attempt started", row)
    return True


def succeed(t: Turn, row: SagaStep, result: Mapping[str, Any]) -> None:
    """Running → Succeeded, and on to whatever follows."""
    _end(t, row, Status.SUCCEEDED, result=dict(result))
    t.note("succeeded", row)
    if row.direction == "compensation":
        _undo_next(t)
        return
    t.update(context={**t.saga.context, row.name: dict(result)})
    step = t.definition.step(row.name)
    if step.pivot and t.saga.cancel_requested:
        t.note("too late to cancel", row, t.saga.reason)
        t.update(cancel_requested=False, reason="")
    if t.saga.cancel_requested:
        _compensate(t, t.saga.reason)
    elif following := t.definition.after(step):
        t.schedule(following, "action")
    else:
        _close(t, Saga.Status.COMPLETED, "completed")
        t.definition.on_completed(t.saga.id, t.saga.key, "")


def fail(t: Turn, row: SagaStep, step: Step, error: Exception, *, worked: bool = False) -> float | None:
    """An attempt failed: again after a wait (returned, in seconds), or the end of this step (``None``).

    Args:
        error: what was raised.
        worked: the work itself was done, and its record failed: then no error counts as a refusal.
    """
    policy = step.policy(row.direction)
    refused = not worked and isinstance(error, (PermanentError, *step.non_retryable))
    called_off = t.saga.cancel_requested and row.direction == "action"
    if not (refused or step.operation(row.direction).is_local):
        _answer_is_missing(t, row)
    if refused or called_off or policy.exhausted(row.tries):
        _give_up(t, row, error)
        return None
    delay = policy.delay(row.tries)
    t.change(row, status=Status.SCHEDULED, locked_until=None, last_error=describe(error))
    rearm(row.message_id, delay, describe(error), worker=t.actor)
    t.note("will retry", row, f"in {delay:.1f} s: {describe(error)}")
    return delay


def call_off_saga(t: Turn, reason: str) -> bool:
    """Stop going forward: compensate at once, or as soon as the attempt at work has ended.

    Returns ``False`` when there is no way back: the pivot is done, or the saga is not running.
    """
    rows = t.steps()
    if t.saga.status != Saga.Status.RUNNING or _past_pivot(t, rows):
        return False
    reason = describe(reason)
    t.update(cancel_requested=True, reason=reason)
    t.note("cancel requested", detail=reason)
    current = next((row for row in rows if row.status in (Status.SCHEDULED, Status.RUNNING)), None)
    if current is None or current.status == Status.RUNNING or _cannot_be_undone(t, current):
        return True  # the end of its next attempt decides
    call_off(current.message_id, f"The saga was called off: {reason}")
    _end(t, current, Status.UNKNOWN if current.may_have_happened else Status.CANCELLED)
    _compensate(t, reason)
    return True


def park(t: Turn, reason: str) -> None:
    """Wait for a person: nothing more happens by itself."""
    reason = describe(reason)
    t.update(status=Saga.Status.NEEDS_ATTENTION, attention=reason)
    t.note("parked", detail=reason)
    t.definition.on_parked(t.saga.id, t.saga.key, reason)


def resume(t: Turn, row: SagaStep) -> None:
    """Try a parked saga's step again, with a fresh set of tries, a fresh deadline and the same idempotency key.

    An attempt that is still at work somewhere loses its hold: its number is not the next one's.
    """
    step = t.definition.step(row.name)
    t.update(
        status=Saga.Status.COMPENSATING if row.direction == "compensation" else Saga.Status.RUNNING,
        attention="",
        deadline_at=Now() + timedelta(seconds=t.definition.deadline),
    )
    if row.status == Status.RUNNING and not step.operation(row.direction).is_local:
        _answer_is_missing(t, row)
    message_id = row.message_id
    if not rearm(message_id, 0, ""):  # discarded or deleted meanwhile
        message_id = t.command(step, row.direction)
    fresh = {"status": Status.SCHEDULED, "tries": 0, "ended_at": None, "locked_until": None}
    t.change(row, **fresh, scheduled_at=Now(), message_id=message_id)


def _answer_is_missing(t: Turn, row: SagaStep) -> None:
    """An attempt was at work and nobody knows what it did. No later attempt's refusal takes that back."""
    t.change(row, may_have_happened=True)
    row.may_have_happened = True


def _give_up(t: Turn, row: SagaStep, error: Exception) -> None:
    """The end of a step without success. Failed says for certain that none of its attempts did anything."""
    _end(t, row, Status.UNKNOWN if row.may_have_happened else Status.FAILED, last_error=describe(error))
    t.note("given up" if row.may_have_happened else "failed", row, describe(error))
    _turn_back(t, row, error)


def _turn_back(t: Turn, row: SagaStep, error: Exception) -> None:
    """A step has ended without success."""
    if row.direction == "compensation" or _past_pivot(t, t.steps()) or _cannot_be_undone(t, row):
        park(t, describe(error))
    elif t.saga.cancel_requested:
        _compensate(t, t.saga.reason)
    else:
        public_reason = getattr(error, "public_reason", None)
        _compensate(t, describe(str(public_reason or t.definition.unexplained)))


def _compensate(t: Turn, reason: str) -> None:
    t.update(status=Saga.Status.COMPENSATING, reason=reason)
    t.note("compensating", detail=reason)
    t.definition.on_compensating(t.saga.id, t.saga.key, reason)
    _undo_next(t)


def _undo_next(t: Turn) -> None:
    """The latest step that did or may have happened and is not undone yet; the end when there is none."""
    rows = t.steps()
    undone = {row.name for row in rows if row.direction == "compensation"}
    for row in sorted(rows, key=lambda r: r.position, reverse=True):
        step = t.definition.step(row.name)
        happened = row.direction == "action" and row.status in UNDOABLE
        if happened and row.name not in undone and step.compensation is not None:
            t.schedule(step, "compensation")
            return
    _close(t, Saga.Status.COMPENSATED, "compensated")
    t.definition.on_compensated(t.saga.id, t.saga.key, t.saga.reason)


def _past_pivot(t: Turn, rows: list[SagaStep]) -> bool:
    return any(
        t.definition.step(row.name).pivot and row.direction == "action" and row.status == Status.SUCCEEDED
        for row in rows
    )


def _cannot_be_undone(t: Turn, row: SagaStep) -> bool:
    return row.may_have_happened and t.definition.step(row.name).compensation is None


def _end(t: Turn, row: SagaStep, status: SagaStep.Status, **values: Any) -> None:
    t.change(row, status=status, ended_at=Now(), locked_until=None, **values)
    row.status = status


def _close(t: Turn, status: Saga.Status, what: str) -> None:
    t.update(status=status, ended_at=Now())
    t.note(what, detail=t.saga.reason)

"""The saga's transitions. Each is called inside a :func:`outbox.saga.turn.turn`: one transaction, saga locked.

A step's outcome is accepted only from the attempt that holds its lease; late ones are refused and counted. When a
step has ended, :func:`advance` looks at all rows of the saga and opens what follows; under the lock exactly one turn
sees the last of several steps side by side end. See ``docs/state-machines.md``.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from outbox.saga import results
from outbox.saga.advancing import DONE, advance, open_stage, park, reopen
from outbox.saga.compensating import CURRENT, may_turn_back
from outbox.saga.failing import fail, wait_is_over
from outbox.saga.models import Saga, SagaStep
from outbox.saga.registry import definition_of
from outbox.saga.results import checked, end
from outbox.saga.steps import Step
from outbox.saga.store import FromNow, store
from outbox.saga.turn import Turn, opening
from outbox.wording import describe

__all__ = [
    "DONE",
    "advance",
    "begin",
    "call_off_saga",
    "checked",
    "deliver_signals",
    "end",
    "fail",
    "hold",
    "open_stage",
    "park",
    "release",
    "reopen",
    "start",
    "succeed",
    "wait_is_over",
]

Status = SagaStep.Status


def start(name: str, key: str, *, actor: str = "") -> UUID:
    """Open a saga and send its first step's command, in the caller's transaction.

    Args:
        name: of a registered definition; its newest version is taken.
        key: the business thing it works on; one saga of a definition for each key.
        actor: who started it, for the history.

    Raises:
        PublishOutsideTransaction: no transaction is open.
        UnknownSaga: no such definition.
        IntegrityError: there is a saga of that definition and key.
    """
    store().require_transaction(f"The saga {name}")
    with opening(definition_of(name), key, actor) as t:
        t.note("started")
        advance(t)
        return t.saga.id


def begin(t: Turn, row: SagaStep, step: Step) -> bool:
    """Scheduled → Running: one more attempt, under a lease. ``False`` when there is nothing to begin."""
    if row.status != Status.SCHEDULED or t.saga.status not in CURRENT:
        return False
    t.change(
        row,
        status=Status.RUNNING,
        attempt=row.attempt + 1,
        tries=row.tries + 1,
        started_at=t.now,
        locked_until=FromNow(step.lease),
        held=False,
    )
    t.note("attempt started", row)
    return True


def hold(t: Turn, row: SagaStep) -> None:
    """Scheduled, and its command has come while a person holds the saga: it is sent again when the saga goes on."""
    t.change(row, held=True)
    t.note("held", row, "The saga is paused.")


def release(t: Turn) -> None:
    """Send the commands again that came while a person held the saga."""
    for row in [row for row in t.rows if row.held and row.status == Status.SCHEDULED]:
        t.change(row, held=False, scheduled_at=FromNow(0))
        t.rearm(row, 0)
        t.note("released", row)


def succeed(t: Turn, row: SagaStep, result: Any) -> None:
    """Running → Succeeded, and on to whatever follows.

    Raises:
        WrongResult: the result is not of the type that the step declares.
    """
    results.keep(t, row, result)
    advance(t)


def deliver_signals(t: Turn) -> int:
    """Give the events that have come to the steps that wait for them; returns how many there were."""
    taken = results.take_signals(t)
    if taken:
        advance(t)
    return taken


def call_off_saga(t: Turn, reason: str) -> bool:
    """Stop going forward: compensate at once, or as soon as the attempts at work have ended.

    Returns ``False`` when there is no way back: the pivot is done, or the saga is not running.
    """
    if t.saga.status != Saga.Status.RUNNING or not may_turn_back(t):
        return False
    reason = describe(reason)
    t.update(cancel_requested=True, reason=reason)
    t.note("cancel requested", detail=reason)
    advance(t)
    return True

"""The saga's transitions. Each is called inside a :func:`outbox.saga.turn.turn`: one transaction, saga locked.

A step's outcome is accepted only from the attempt that holds its lease; late ones are refused and counted. When a
step has ended, :func:`advance` looks at all rows of the saga and opens what follows; under the lock exactly one turn
sees the last of several steps side by side end. What *may have happened* is compensated: a step that was given up
without a clear answer counts as done, also when a later attempt of it was refused. See ``docs/state-machines.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from pydantic import ValidationError

from outbox.backoff import RetryPolicy
from outbox.exceptions import PermanentError
from outbox.saga import compensating
from outbox.saga.compensating import CURRENT, may_turn_back, stuck_rows
from outbox.saga.exceptions import TimedOut, WrongResult
from outbox.saga.models import Saga, SagaStep
from outbox.saga.registry import definition_of
from outbox.saga.steps import Step
from outbox.saga.store import FromNow, store
from outbox.saga.turn import Turn, opening
from outbox.wording import describe

Status = SagaStep.Status
ASKING = RetryPolicy(max_attempts=5, initial=1.0, cap=30.0)
"""How often the outside world is asked what became of a step, before it is given up as unknown."""
DONE = (Status.SUCCEEDED, Status.SKIPPED)


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
    kept, was_asked = checked(t.definition.step(row.name), row, result), row.asking
    end(t, row, Status.SUCCEEDED, result=kept, asking=False)
    t.note("succeeded", row)
    if row.direction == "action":
        _keep_result(t, row, kept, was_asked=was_asked)
    advance(t)


def checked(step: Step, row: SagaStep, result: Any) -> Any:
    """A result as the JSON values that are kept, checked against the type that the step declares.

    Raises:
        WrongResult: it is not of that type.
    """
    if row.direction == "compensation" or step.result_type is None:
        return dict(result) if isinstance(result, Mapping) else (result or {})
    try:
        value = step.result_type.validate_python(result)
        return step.result_type.dump_python(value, mode="json")
    except ValidationError as error:
        said = _("The result of '%(step)s' is not what the step declares: %(error)s")
        raise WrongResult(said % {"step": row.name, "error": error}) from None


def fail(
    t: Turn, row: SagaStep, step: Step, error: Exception, *, worked: bool = False, is_clear: bool = False
) -> float | None:
    """An attempt failed: again after a wait (returned, in seconds), or the end of this step (``None``).

    Args:
        error: what was raised. One of the work with an attribute ``may_have_happened`` that is ``False`` says for
            certain that this attempt did not act, and that another may.
        worked: the work itself was done, and its record failed: then no error counts as a refusal.
        is_clear: the outside world has said that no earlier attempt acted, nor will.
    """
    refused = not worked and isinstance(error, (PermanentError, *step.non_retryable))
    if is_clear:
        t.change(row, may_have_happened=False)
    did_nothing = not worked and getattr(error, "may_have_happened", True) is False
    if not (refused or did_nothing or (is_clear and row.asking) or step.operation(row.direction).is_local):
        t.change(row, may_have_happened=True)  # nobody knows what it did; no later refusal takes that back
    policy = ASKING if row.asking else step.policy(row.direction)
    turns_back = row.direction == "action" and compensating.is_turning_back(t)
    if not (refused or turns_back or (is_clear and row.asking) or policy.exhausted(row.tries)):
        return _again(t, row, error, policy.delay(row.tries), "will retry")
    if (
        row.may_have_happened
        and step.reconcile
        and row.direction == "action"
        and not (row.asking or turns_back)
    ):
        _remember(t, error)
        t.change(row, asking=True, tries=0)
        return _again(t, row, error, 0.0, "will ask what became of it")
    _give_up(t, row, error)
    return None


def wait_is_over(t: Turn, row: SagaStep, step: Step) -> None:
    """The event did not come in time: the wait has failed, or is skipped, as the step declares."""
    if step.on_timeout == "go on":
        end(t, row, Status.SKIPPED, result={"timed_out": True})
        t.note("timed out", row, "It goes on without the event.")
        _keep_result(t, row, {"timed_out": True}, was_asked=False)
        advance(t)
        return
    _give_up(t, row, TimedOut(f"{step.waits_for} did not come within {step.timeout:g} s."))


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


def park(t: Turn, reason: str) -> None:
    """Wait for a person: nothing more happens by itself."""
    reason = describe(reason)
    t.update(status=Saga.Status.NEEDS_ATTENTION, attention=reason)
    t.note("parked", detail=reason)
    t.definition.on_parked(t.saga.id, t.saga.key, reason)


def advance(t: Turn) -> None:
    """Do whatever follows from the rows as they are now; nothing while something is still at work."""
    if t.saga.status == Saga.Status.COMPENSATING:
        _go_back(t)
    elif t.saga.status == Saga.Status.RUNNING:
        if stuck_rows(t, "action") or (t.saga.cancel_requested and may_turn_back(t)):
            _turn_back(t)
        else:
            _take_back_cancellation(t)
            _go_forward(t)


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


def open_stage(t: Turn, stage: Iterable[Step]) -> None:
    """Reach the steps of a stage, all of them. A wait whose event has come already takes it at once."""
    waits = False
    for step in stage:
        waits = waits or bool(step.waits_for)
        _ = t.wait(step) if step.waits_for else t.schedule(step, "action")
    if waits:
        deliver_signals(t)


def end(t: Turn, row: SagaStep, status: SagaStep.Status, **values: Any) -> None:
    """A step's end, of whatever kind; what follows is :func:`advance`'s."""
    t.change(row, status=status, ended_at=FromNow(0), locked_until=None, **values)


def deliver_signals(t: Turn) -> int:
    """Give the events that have come to the steps that wait for them; returns how many there were."""
    taken = 0
    for row in [row for row in t.rows if row.status == Status.WAITING]:
        while row.status == Status.WAITING and (signal := t.store.take_signal(t.saga, row.event)):
            taken += 1
            t.note("signal received", row, signal.id)
            try:
                succeed(t, row, signal.payload)
            except WrongResult as error:
                t.note("signal refused", row, describe(error))
    return taken


def _keep_result(t: Turn, row: SagaStep, result: Any, *, was_asked: bool) -> None:
    t.update(context={**t.saga.context, row.name: result})
    if t.definition.step(row.name).pivot:
        _take_back_cancellation(t, row)
    elif was_asked and not t.saga.cancel_requested and not stuck_rows(t, "action"):
        t.update(reason="")  # remembered in case that the step had not happened


def _take_back_cancellation(t: Turn, row: SagaStep | None = None) -> None:
    """What has happened by now cannot be undone."""
    if t.saga.cancel_requested:
        t.note("too late to cancel", row, t.saga.reason)
        t.update(cancel_requested=False, reason="")


def _again(t: Turn, row: SagaStep, error: Exception, delay: float, what: str) -> float:
    text = describe(error)
    t.change(row, status=Status.SCHEDULED, locked_until=None, last_error=text)
    t.rearm(row, delay, text)
    t.note(what, row, f"in {delay:.1f} s: {text}")
    return delay


def _give_up(t: Turn, row: SagaStep, error: Exception) -> None:
    """The end of a step without success. Failed says for certain that none of its attempts did anything."""
    text = describe(error)
    end(t, row, Status.UNKNOWN if row.may_have_happened else Status.FAILED, last_error=text, asking=False)
    t.note("given up" if row.may_have_happened else "failed", row, text)
    if row.direction == "action":
        _remember(t, error)
    advance(t)


def _remember(t: Turn, error: Exception) -> None:
    """Why the saga turns back, if it does: the first reason stands."""
    if not t.saga.reason:
        public_reason = getattr(error, "public_reason", None)
        t.update(reason=describe(str(public_reason or t.definition.unexplained)))


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
            open_stage(t, missing)
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

"""A step's end, and the result that is kept of it. What follows is :mod:`outbox.saga.advancing`'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from pydantic import ValidationError

from outbox.saga.compensating import stuck_rows
from outbox.saga.exceptions import WrongResult
from outbox.saga.models import SagaStep
from outbox.saga.steps import Step
from outbox.saga.store import FromNow
from outbox.saga.turn import Turn
from outbox.wording import describe

Status = SagaStep.Status


def end(t: Turn, row: SagaStep, status: SagaStep.Status, **values: Any) -> None:
    """A step's end, of whatever kind."""
    t.change(row, status=status, ended_at=FromNow(0), locked_until=None, **values)


def keep(t: Turn, row: SagaStep, result: Any) -> None:
    """Running or Waiting → Succeeded.

    Raises:
        WrongResult: the result is not of the type that the step declares.
    """
    kept, was_asked = checked(t.definition.step(row.name), row, result), row.asking
    end(t, row, Status.SUCCEEDED, result=kept, asking=False)
    t.note("succeeded", row)
    if row.direction == "action":
        add_to_context(t, row, kept, was_asked=was_asked)


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


def take_signals(t: Turn) -> int:
    """Give the events that have come to the steps that wait for them; returns how many there were."""
    taken = 0
    for row in [row for row in t.rows if row.status == Status.WAITING]:
        while row.status == Status.WAITING and (signal := t.store.take_signal(t.saga, row.event)):
            taken += 1
            t.note("signal received", row, signal.id)
            try:
                keep(t, row, signal.payload)
            except WrongResult as error:
                t.note("signal refused", row, describe(error))
    return taken


def add_to_context(t: Turn, row: SagaStep, result: Any, *, was_asked: bool) -> None:
    """What later steps are told of it; and what it means for a saga that was to be called off.

    Args:
        was_asked: the step was given up, and only asked about.
    """
    t.update(context={**t.saga.context, row.name: result})
    if t.definition.step(row.name).pivot:
        take_back_cancellation(t, row)
    elif was_asked and not t.saga.cancel_requested and not stuck_rows(t, "action"):
        t.update(reason="")  # remembered in case that the step had not happened


def take_back_cancellation(t: Turn, row: SagaStep | None = None) -> None:
    """What has happened by now cannot be undone."""
    if t.saga.cancel_requested:
        t.note("too late to cancel", row, t.saga.reason)
        t.update(cancel_requested=False, reason="")

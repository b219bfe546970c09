"""What people do with one step: pass over it, or say that it is done."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from outbox.saga import engine
from outbox.saga.exceptions import SagaRefused, WrongResult
from outbox.saga.models import Saga, SagaStep
from outbox.saga.operations import going_on
from outbox.saga.operations.turns import operating, reason_given, refuse_if
from outbox.saga.turn import Turn

Status = SagaStep.Status


def skip(saga_id: UUID, step: str, *, actor: str, reason: str) -> None:
    """Pass over a step that has stopped, is to be tried again, or waits: it counts as done, without a result.

    A step that may have happened is still undone, if the saga turns back. Skipping an undo says that somebody has
    undone it by hand.

    Raises:
        SagaRefused: the step is at work, was not reached, or is done.
        ValueError: no reason was given.
    """
    why = reason_given(reason, "the step is skipped")
    with operating(saga_id, actor) as taken:
        t, row = _of(taken, step)
        refuse_if(
            row.status == Status.RUNNING, _("It is at work right now: wait for its end, or pause the saga.")
        )
        pass_over(t, row, why)
        going_on.go_on_if_free(t)


def mark_done(saga_id: UUID, step: str, result: Any = None, *, actor: str, reason: str) -> None:
    """Say that a step is done, as somebody has seen to it or found out: with the result that its work would have had.

    What the step's remote work would have recorded is recorded. An attempt at work loses its hold.

    Raises:
        SagaRefused: the step was not reached, or is done, or the result is not what it declares.
        ValueError: no reason was given.
    """
    why = reason_given(reason, "the step is marked as done")
    with operating(saga_id, actor) as taken:
        t, row = _of(taken, step)
        declared = t.definition.step(row.name)
        kept = result or {}
        try:
            engine.checked(declared, row, kept)
        except WrongResult as error:
            raise SagaRefused(str(error)) from None
        if row.status == Status.SCHEDULED:
            t.call_off(row, f"Marked as done: {why}")
        t.note("marked as done", row, why)
        record = None if declared.waits_for else declared.operation(row.direction).record
        if record is not None:
            record(t.call(row), kept)
        engine.succeed(t, row, kept)
        going_on.go_on_if_free(t)


def pass_over(t: Turn, row: SagaStep, why: str) -> None:
    """Let a step count as done, without a result; its message is no longer wanted."""
    if row.status == Status.SCHEDULED:
        t.call_off(row, f"Skipped: {why}")
    engine.end(t, row, Status.SKIPPED, asking=False, held=False)
    t.note("skipped", row, why)


def _of(t: Turn | None, step: str) -> tuple[Turn, SagaStep]:
    """The step's row that a person means: its undo, once that was reached."""
    if t is None or t.saga.status in Saga.ENDED:
        raise SagaRefused(_("The saga has ended, or is not there."))
    row = t.step(step, "compensation") or t.step(step, "action")
    if row is None:
        known = ", ".join(dict.fromkeys(row.name for row in t.rows)) or _("none")
        raise SagaRefused(
            _("It has not reached a step '%(step)s'. Reached so far: %(known)s.")
            % {"step": step, "known": known}
        )
    is_back = t.saga.status == Saga.Status.COMPENSATING or bool(t.steps("compensation"))
    refuse_if(
        is_back and row.direction == "action",
        _("The saga is on its way back: only its undos can be seen to."),
    )
    refuse_if(row.status in engine.DONE, _("The step '%(step)s' is done.") % {"step": step})
    refuse_if(row.status == Status.CANCELLED, _("The step '%(step)s' was called off.") % {"step": step})
    return t, row

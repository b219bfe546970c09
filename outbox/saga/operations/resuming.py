"""Have steps tried again: those that a parked saga stopped at, or those that wait."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from outbox.saga import engine
from outbox.saga.compensating import CURRENT
from outbox.saga.exceptions import SagaRefused
from outbox.saga.models import Saga, SagaStep
from outbox.saga.operations import going_on
from outbox.saga.operations.one_step import pass_over
from outbox.saga.operations.turns import operating, reason_given, refuse_if
from outbox.saga.turn import Turn

Status = SagaStep.Status


def resume(saga_id: UUID, *, actor: str, reason: str, step: str = "") -> None:
    """Let a parked saga go on where it stopped: its steps are tried again with the same idempotency keys.

    They get a fresh set of tries, and the saga a fresh deadline.

    Args:
        step: go on from this step instead: those before it that are not done are skipped. It must not be done
            itself: doing it again could act twice.

    Raises:
        SagaRefused: the saga is not parked, or not known here, or cannot go on from that step.
        ValueError: no reason was given.
    """
    why = reason_given(reason, "the saga is resumed")
    with operating(saga_id, actor) as t:
        if t is None or t.saga.status != Saga.Status.NEEDS_ATTENTION:
            raise SagaRefused(_("Only a saga that needs attention can be resumed."))
        if step:
            _pass_over_until(t, step, why)
        rows = going_on.stopped(t)
        for row in rows:
            t.note("resumed", row, why)
        if not rows:
            t.note("resumed", detail=why)
        going_on.go_on(t, rows)


def retry_now(saga_id: UUID, *, actor: str, reason: str, step: str = "") -> None:
    """Do not wait for the next attempt: steps that are to be tried again are due now. A parked saga is resumed.

    Args:
        step: only this one.

    Raises:
        SagaRefused: nothing of the saga waits for another attempt.
        ValueError: no reason was given.
    """
    why = reason_given(reason, "the step is tried again")
    with operating(saga_id, actor) as t:
        if t is not None and t.saga.status == Saga.Status.NEEDS_ATTENTION:
            rows = [row for row in going_on.stopped(t) if step in ("", row.name)]
            refuse_if(not rows, _("It has no such step that could be tried again."))
            for row in rows:
                t.note("retry now", row, why)
            going_on.go_on(t, rows)
            return
        waiting = [] if t is None or t.saga.status not in CURRENT else t.rows
        waiting = [row for row in waiting if row.status == Status.SCHEDULED and step in ("", row.name)]
        if t is None or not waiting:
            raise SagaRefused(_("No step of it waits for another attempt."))
        for row in waiting:
            t.rearm(row, 0)
            t.note("retry now", row, why)


def _pass_over_until(t: Turn, step: str, why: str) -> None:
    """Skip what stands before a step, and reach it if it was not yet."""
    refuse_if(
        bool(t.steps("compensation")), _("It is on its way back: resume it, or skip the undo that stopped.")
    )
    target = t.definition.by_name.get(step)
    if target is None:
        known = ", ".join(t.definition.by_name)
        raise SagaRefused(
            _("It has no step '%(step)s'. Its steps: %(known)s.") % {"step": step, "known": known}
        )
    row = t.step(step, "action")
    if row is not None and row.status in engine.DONE:
        raise SagaRefused(_("The step '%(step)s' is done: doing it again could act twice.") % {"step": step})
    place = t.definition.position(target)
    for stage in t.definition.stages[:place]:
        for before in stage:
            reached = t.step(before.name, "action")
            if reached is None:
                t.note("passed over", detail=f"{before.name}: {why}")
            elif reached.status not in engine.DONE:
                why_not = _("The step '%(step)s' is at work.") % {"step": before.name}
                refuse_if(reached.status == Status.RUNNING, why_not)
                pass_over(t, reached, why)
    if row is None:
        engine.open_stage(t, t.definition.stages[place])

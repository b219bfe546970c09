"""What people do with a saga as a whole."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from outbox.saga import engine
from outbox.saga.compensating import is_past_pivot
from outbox.saga.exceptions import SagaRefused
from outbox.saga.models import Saga, SagaStep
from outbox.saga.operations.turns import operating, reason_given, refuse_if
from outbox.saga.store import FromNow

Status = SagaStep.Status


def cancel(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Call a saga off: what was done is compensated in reverse order.

    Steps that are at work right now end first. One that is being called off already stays as it is.

    Raises:
        SagaRefused: the pivot is done, or the saga is not running or not known here.
    """
    with operating(saga_id, actor) as t:
        if t is not None and (t.saga.cancel_requested or t.saga.status == Saga.Status.COMPENSATING):
            return
        if t is None or not engine.call_off_saga(t, reason):
            raise SagaRefused(_("It can no longer be cancelled."))


def compensate_now(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Turn a saga back, also one that is parked: what happened is undone, as soon as nothing is at work any more.

    Raises:
        SagaRefused: its pivot is done, or it has ended.
        ValueError: no reason was given.
    """
    why = reason_given(reason, "the saga is compensated")
    with operating(saga_id, actor) as t:
        if t is None or t.saga.status in Saga.ENDED:
            raise SagaRefused(_("It has ended."))
        if t.saga.status == Saga.Status.COMPENSATING or t.steps("compensation"):
            raise SagaRefused(
                _("It is on its way back already. Retry or resume the step that it stopped at.")
            )
        refuse_if(is_past_pivot(t), _("Its pivot is done: there is no way back."))
        if t.saga.status == Saga.Status.NEEDS_ATTENTION:
            t.update(status=Saga.Status.RUNNING, attention="", deadline_at=FromNow(t.definition.deadline))
        refuse_if(not engine.call_off_saga(t, why), _("There is no way back."))
        refuse_if(
            t.saga.status == Saga.Status.NEEDS_ATTENTION,
            _("A step that may have happened has no undo. Mark it as done or skip it, and resume the saga."),
        )


def pause(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Hold a saga: attempts at work end, and nothing begins until it goes on. Its time does not run meanwhile.

    Raises:
        SagaRefused: it is held already, or has ended.
        ValueError: no reason was given.
    """
    why = reason_given(reason, "the saga is paused")
    with operating(saga_id, actor) as t:
        if t is None or t.saga.status in Saga.ENDED:
            raise SagaRefused(_("It has ended."))
        refuse_if(t.saga.paused_at is not None, _("It is paused already."))
        t.update(paused_at=FromNow(0))
        t.note("paused", detail=why)


def unpause(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Let a paused saga go on: what was held begins, and its deadline and its waits are as far away as they were.

    Raises:
        SagaRefused: it is not paused.
        ValueError: no reason was given.
    """
    why = reason_given(reason, "the saga goes on")
    with operating(saga_id, actor) as t:
        if t is None or t.saga.paused_at is None:
            raise SagaRefused(_("It is not paused."))
        paused = t.now - t.saga.paused_at
        t.update(paused_at=None, deadline_at=t.saga.deadline_at + paused)
        for row in t.rows:
            if row.status == Status.WAITING and row.locked_until:
                t.change(row, locked_until=row.locked_until + paused)
        t.note("unpaused", detail=why)
        if not t.is_paused:
            engine.release(t)

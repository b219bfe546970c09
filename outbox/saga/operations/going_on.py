"""A parked saga goes on: from where it stopped, or after somebody has seen to that."""

from __future__ import annotations

from django.utils.translation import gettext as _

from outbox.saga import engine
from outbox.saga.compensating import CURRENT, stuck_rows
from outbox.saga.exceptions import SagaRefused
from outbox.saga.models import Saga, SagaStep
from outbox.saga.store import FromNow
from outbox.saga.turn import Turn

Status = SagaStep.Status


def stopped_at(t: Turn) -> SagaStep:
    """The step that a parked saga stopped at: the latest that was reached and did not succeed.

    Raises:
        SagaRefused: there is none.
    """
    rows = stopped(t)
    if not rows:
        raise SagaRefused(_("It has no step that could be tried again."))
    return rows[-1]


def stopped(t: Turn) -> list[SagaStep]:
    """The steps that a parked saga is to go on with, of the way that it is on."""
    direction = "compensation" if t.steps("compensation") else "action"
    ended = (Status.SUCCEEDED, Status.SKIPPED, *([Status.CANCELLED] if t.saga.cancel_requested else []))
    return [row for row in t.steps(direction) if row.status not in ended]


def go_on(t: Turn, rows: list[SagaStep]) -> None:
    """A parked saga is at work again, with a fresh deadline and with these steps reopened."""
    is_back = bool(t.steps("compensation"))
    t.update(
        status=Saga.Status.COMPENSATING if is_back else Saga.Status.RUNNING,
        attention="",
        deadline_at=FromNow(t.definition.deadline),
    )
    if not (is_back or t.saga.cancel_requested):
        t.update(reason="")
    for row in rows:
        engine.reopen(t, row)
    engine.advance(t)
    engine.deliver_signals(t)


def go_on_if_free(t: Turn) -> None:
    """After a step was seen to: a parked saga goes on, unless another step of it has stopped, too."""
    if t.saga.status in CURRENT:
        engine.advance(t)
    elif t.saga.status == Saga.Status.NEEDS_ATTENTION:
        direction = "compensation" if t.steps("compensation") else "action"
        if not stuck_rows(t, direction):
            go_on(t, stopped(t))

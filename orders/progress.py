"""How far an order's fulfilment is, as a customer can be told: no error texts, no names of workers.

Works only on what the saga's rows say; never changes anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Prefetch

from orders.fulfilment import fulfilment
from orders.models import Order
from orders.services.placing import SAGA
from outbox.api import Message
from outbox.saga.models import Saga, SagaStep

Status = SagaStep.Status
Rows = Mapping[str, SagaStep]


class StepState(StrEnum):
    """What has become of a step, its undo included."""

    WAITING = "waiting"
    WORKING = "working"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    UNCLEAR = "unclear"
    NOT_NEEDED = "not_needed"
    UNDOING = "undoing"
    RETRYING_UNDO = "retrying_undo"
    UNDONE = "undone"
    STUCK = "stuck"


@dataclass(frozen=True)
class StepProgress:
    """One step of the fulfilment.

    Args:
        name: such as ``payment``.
        state: what has become of it.
        attempts: of the direction at work, or of the one that ended last.
        started_at: when that direction was reached; ``None`` before.
        ended_at: when that direction ended; ``None`` while it is at work.
        next_attempt_at: when it is tried again, while it waits for that.
    """

    name: str
    state: StepState
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    next_attempt_at: datetime | None = None


@dataclass(frozen=True)
class Progress:
    """How far an order is.

    Args:
        steps: all of them, in their order, reached or not; none when their history was deleted, long after the end.
        cancel_requested: the customer has called it off.
        cancellable: it can still be called off, as of when this was read.
        ended: nothing more will happen.
    """

    steps: list[StepProgress]
    cancel_requested: bool
    cancellable: bool
    ended: bool

    @property
    def is_delayed(self) -> bool:
        """Something is being tried again."""
        return any(s.state in (StepState.RETRYING, StepState.RETRYING_UNDO) for s in self.steps)


def progress_of(order: Order) -> Progress:
    """Read how far an order is, in two queries, or three while something is being tried again."""
    steps_with_waits = Prefetch("steps", SagaStep.objects.select_related("waits_for"))
    saga = Saga.objects.prefetch_related(steps_with_waits).get(definition=SAGA, key=str(order.id))
    rows = list(saga.steps.all())
    due = _next_attempts(rows)
    turned_back = saga.status in (Saga.Status.COMPENSATING, Saga.Status.COMPENSATED)
    steps = [
        _step(step.name, _of(rows, step.name), due, turned_back=turned_back)
        for step in fulfilment.steps
        if saga.history_pruned_at is None
    ]
    pivots = {step.name for step in fulfilment.steps if step.pivot}
    pivot_done = any(step.state == StepState.DONE and step.name in pivots for step in steps)
    return Progress(
        steps=steps,
        cancel_requested=saga.cancel_requested,
        cancellable=saga.status == Saga.Status.RUNNING and not saga.cancel_requested and not pivot_done,
        ended=saga.status in Saga.ENDED,
    )


def marks_of(order_ids: Collection[UUID]) -> dict[UUID, int]:
    """How often each order's fulfilment has changed, in one query: whoever has seen one number has seen that state."""
    sagas = Saga.objects.filter(definition=SAGA, key__in=[str(pk) for pk in order_ids])
    return {UUID(key): revision for key, revision in sagas.values_list("key", "revision")}


def reason_of(order: Order) -> str:
    """Why an order is cancelled, for its customer. Why one needs attention is for operators, and not told."""
    return order.reason if order.status in (Order.Status.CANCELLING, Order.Status.CANCELLED) else ""


def _of(rows: Iterable[SagaStep], name: str) -> Rows:
    return {row.direction: row for row in rows if row.name == name}


def _next_attempts(rows: Iterable[SagaStep]) -> dict[UUID, datetime]:
    """When the steps that wait for another attempt are due, by their message."""
    again = [row for row in rows if row.status == Status.SCHEDULED and row.attempt]
    waiting = [row.message_id for row in again if row.message_id]
    if not waiting:
        return {}
    return dict(Message.objects.filter(id__in=waiting).values_list("id", "next_attempt_at"))


def _step(name: str, rows: Rows, due: Mapping[UUID, datetime], *, turned_back: bool) -> StepProgress:
    action, undo = rows.get(SagaStep.Direction.ACTION), rows.get(SagaStep.Direction.COMPENSATION)
    if action is None:
        return StepProgress(name, StepState.NOT_NEEDED if turned_back else StepState.WAITING)
    current = undo or action
    return StepProgress(
        name=name,
        state=_state_of_undo(undo) if undo else _state_of_action(action),
        attempts=current.attempt,
        started_at=current.scheduled_at,
        ended_at=current.ended_at,
        next_attempt_at=due.get(current.message_id) if current.message_id else None,
    )


def _state_of_action(row: SagaStep) -> StepState:
    if row.status in (Status.SCHEDULED, Status.RUNNING):
        return StepState.RETRYING if _is_again(row) else StepState.WORKING
    return {
        Status.SUCCEEDED: StepState.DONE,
        Status.FAILED: StepState.FAILED,
        Status.UNKNOWN: StepState.UNCLEAR,
        Status.CANCELLED: StepState.NOT_NEEDED,
        Status.SKIPPED: StepState.NOT_NEEDED,
    }[Status(row.status)]


def _state_of_undo(row: SagaStep) -> StepState:
    if row.status in (Status.SCHEDULED, Status.RUNNING):
        return StepState.RETRYING_UNDO if _is_again(row) else StepState.UNDOING
    return StepState.UNDONE if row.status in (Status.SUCCEEDED, Status.SKIPPED) else StepState.STUCK


def _is_again(row: SagaStep) -> bool:
    """Whether an attempt has failed already, or the service that it calls is away."""
    if row.status == Status.SCHEDULED and hasattr(row, "waits_for"):
        return True
    return row.attempt > (1 if row.status == Status.RUNNING else 0)

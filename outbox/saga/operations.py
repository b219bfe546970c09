"""What people do with sagas: each is one transaction, with who and why in the history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from outbox.saga import engine
from outbox.saga.exceptions import SagaRefused, UnknownSaga
from outbox.saga.models import Saga, SagaStep
from outbox.saga.turn import Turn, turn
from outbox.wording import describe


def cancel(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Call a saga off: what was done is compensated in reverse order.

    A step that is at work right now ends first. One that is being called off already stays as it is. Joins the
    caller's transaction, if there is one.

    Raises:
        SagaRefused: the pivot is done, or the saga is not running or not known here; nothing was changed.
    """
    with _operating(saga_id, actor) as t:
        if t is not None and (t.saga.cancel_requested or t.saga.status == Saga.Status.COMPENSATING):
            return
        if t is None or not engine.call_off_saga(t, reason):
            raise SagaRefused("It can no longer be cancelled.")


def resume(saga_id: UUID, *, actor: str, reason: str) -> None:
    """Try the step that a parked saga stopped at again, with the same idempotency key.

    It gets a fresh set of tries and a fresh deadline.

    Raises:
        SagaRefused: the saga is not parked, or not known here; nothing was changed.
        ValueError: no reason was given.
    """
    if not reason.strip():
        raise ValueError("Say why the saga is resumed: the reason is kept in its history.")
    with _operating(saga_id, actor) as t:
        if t is None or t.saga.status != Saga.Status.NEEDS_ATTENTION:
            raise SagaRefused("Only a saga that needs attention can be resumed.")
        row = stopped_at(t)
        t.note("resumed", row, describe(reason))
        engine.resume(t, row)


def stopped_at(t: Turn) -> SagaStep:
    """The step that a parked saga stopped at: the latest that was reached and did not succeed."""
    rows = [row for row in t.steps() if row.status != SagaStep.Status.SUCCEEDED]
    if not rows:
        raise SagaRefused("It has no step that could be tried again.")
    return rows[-1]


@contextmanager
def _operating(saga_id: UUID, actor: str) -> Iterator[Turn | None]:
    """A turn for a person: a saga whose definition is gone is refused in words."""
    try:
        with turn(saga_id, actor) as t:
            yield t
    except UnknownSaga as error:
        raise SagaRefused(
            f"Nothing can be done with it as long as its definition is missing. {error}"
        ) from error

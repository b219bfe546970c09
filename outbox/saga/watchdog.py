"""The watchdog: no saga is silently stuck. Any number of them may run side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.database import DATABASE_AWAY, atomic, connection
from outbox.models import Message, Status
from outbox.saga import engine
from outbox.saga.exceptions import AttemptLost
from outbox.saga.models import Saga, SagaStep, SagaTransition
from outbox.saga.turn import Turn, turn
from outbox.wording import describe

logger = logging.getLogger(__name__)

ACTOR = "watchdog"
LIMIT = 200
ORPHAN_AGE = timedelta(minutes=1)
OPEN = (Saga.Status.RUNNING, Saga.Status.COMPENSATING)
"""Sagas that go on by themselves. What is parked or has ended is nobody's business here."""


class Swept(NamedTuple):
    """What a round found, in sagas; those included that could only be parked."""

    attempts_lost: int
    past_deadline: int
    orphaned: int


def sweep() -> Swept:
    """One round: attempts whose worker died, sagas past their deadline, steps whose message is gone.

    A saga that cannot be handled, because its definition is gone or a hook of it raises, is parked without its
    hooks, and keeps nobody else waiting.

    Raises:
        OperationalError, InterfaceError: the database is away.
    """
    swept = Swept(
        _each(_steps_past_lease(), _attempt_lost),
        _each(_past_deadline(), _give_up_waiting),
        _each(_orphans(), _park_orphan),
    )
    if any(swept):
        logger.warning("Swept: %s", swept._asdict())
    return swept


def _each(saga_ids: Iterable[UUID], handle: Callable[[Turn], bool]) -> int:
    """Handle sagas one transaction each, passing over those that somebody else holds right now."""
    handled = 0
    for saga_id in saga_ids:
        try:
            with turn(saga_id, ACTOR, skip_locked=True) as t:
                found = t is not None and handle(t)
        except DATABASE_AWAY:
            if not _database_answers():
                raise
            logger.warning("Saga %s has to wait for the next round", saga_id, exc_info=True)  # locks
        except Exception as error:
            logger.exception("Saga %s cannot go on: it is parked", saga_id)
            handled += _park_without_hooks(saga_id, error)
        else:
            handled += int(found)
    return handled


def _database_answers() -> bool:
    return connection().connection is not None and connection().is_usable()


def _park_without_hooks(saga_id: UUID, error: Exception) -> int:
    """Park a saga by what its row says alone; ``0`` when it moved on, or somebody else holds it."""
    reason = f"The watchdog could not bring it on: {describe(error)}"
    with atomic():
        sagas = Saga.objects.using(conf().DATABASE).filter(pk=saga_id, status__in=OPEN)
        if sagas.select_for_update(skip_locked=True).first() is None:
            return 0
        sagas.update(status=Saga.Status.NEEDS_ATTENTION, attention=reason)
        note = SagaTransition(saga_id=saga_id, what="parked", actor=ACTOR, detail=reason)
        note.save(using=conf().DATABASE)
    return 1


def _steps_past_lease() -> list[UUID]:
    steps = SagaStep.objects.using(conf().DATABASE).filter(
        status=SagaStep.Status.RUNNING, locked_until__lt=Now(), saga__status__in=OPEN
    )
    return list(steps.order_by("locked_until").values_list("saga_id", flat=True)[:LIMIT])


def _attempt_lost(t: Turn) -> bool:
    """The step's worker died, or hangs: try again with the same idempotency key, or treat it as unknown."""
    expired = SagaStep.objects.using(conf().DATABASE).filter(
        saga=t.saga, status=SagaStep.Status.RUNNING, locked_until__lt=Now()
    )
    row = expired.first()  # looked at again, now that the saga is ours
    if row is None or t.saga.status not in OPEN:
        return False
    lost = AttemptLost(f"Attempt {row.attempt} did not end within its lease.")
    engine.fail(t, row, t.definition.step(row.name), lost)
    return True


def _past_deadline() -> list[UUID]:
    sagas = Saga.objects.using(conf().DATABASE).filter(
        status=Saga.Status.RUNNING, cancel_requested=False, deadline_at__lt=Now()
    )
    return list(sagas.order_by("deadline_at").values_list("id", flat=True)[:LIMIT])


def _give_up_waiting(t: Turn) -> bool:
    if t.saga.status != Saga.Status.RUNNING or t.saga.cancel_requested:
        return False
    reason = "It did not end before its deadline."
    if not engine.call_off_saga(t, reason):
        engine.park(t, reason)
    return True


def _live_message() -> Exists:
    alive = Message.objects.filter(id=OuterRef("message_id"), consumed_at=None).exclude(status=Status.FAILED)
    return Exists(alive)


def _orphans() -> list[UUID]:
    """Steps that wait for a message which will never come: failed, discarded or deleted."""
    steps = SagaStep.objects.using(conf().DATABASE).filter(
        ~_live_message(),
        status=SagaStep.Status.SCHEDULED,
        scheduled_at__lt=Now() - ORPHAN_AGE,
        saga__status__in=OPEN,
    )
    return list(steps.values_list("saga_id", flat=True)[:LIMIT])


def _park_orphan(t: Turn) -> bool:
    rows = SagaStep.objects.using(conf().DATABASE).filter(
        ~_live_message(), saga=t.saga, status=SagaStep.Status.SCHEDULED
    )
    row = rows.first()
    if row is None or t.saga.status not in OPEN:
        return False
    engine.park(t, f"The message of {row} failed or was discarded.")
    return True

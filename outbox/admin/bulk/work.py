"""The work of a bulk operation: batch by batch, in a durable task that hands on to its successor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import UUID

from celery import shared_task
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import QueryDict

from outbox.admin.message_filters import matching
from outbox.admin.message_operations import OPEN_FAILURE
from outbox.backoff import FOREVER
from outbox.conf import conf
from outbox.database import atomic
from outbox.journal import CHANGED, note
from outbox.models import BulkOperation, Message
from outbox.redrive import discard, redrive

if TYPE_CHECKING:
    from outbox.journal import Actor

BATCH = 500
"""Messages changed and noted in one transaction, which should stay short."""
SHIFT = 10.0
"""Seconds that one task works before it hands on: a long operation is many short tasks, and leaves room for others."""


def everything(bulk: BulkOperation) -> QuerySet[Message]:
    """What it is about and has not come to yet, in its order."""
    rows = Message.objects.using(conf().DATABASE).filter(OPEN_FAILURE, id__lte=bulk.last)
    if bulk.cursor:
        rows = rows.filter(id__gt=bulk.cursor)
    return matching(rows, QueryDict(bulk.query).dict(), bulk.asked_at).order_by("id")


@shared_task(name="outbox.bulk", lease_seconds=60.0, delivery_retry=FOREVER, ignore_result=True)  # type: ignore[untyped-decorator]
def work(bulk_id: str, turn: int) -> None:
    """Go on with a bulk operation for a while, and hand on.

    Only the latest turn works: a task that comes twice, or late, changes nothing.
    """
    end = time.monotonic() + SHIFT
    while time.monotonic() < end:
        if not _work_once(UUID(bulk_id), turn):
            return
    _hand_on(UUID(bulk_id), turn)


def begin(bulk: BulkOperation) -> None:
    """Start it, in the caller's transaction."""
    work.delay(str(bulk.pk), bulk.turn)


def stop(bulk_ids: list[UUID], by: str) -> list[BulkOperation]:
    """End those that are still at work: the batch at work is the last. Returns them."""
    with atomic():
        open_ones = _bulks().filter(id__in=bulk_ids, ended_at=None).select_for_update().order_by("id")
        stopped = list(open_ones)
        _bulks().filter(id__in=[bulk.pk for bulk in stopped]).update(ended_at=Now(), stopped_by=by)
    return stopped


def _work_once(bulk_id: UUID, turn: int) -> bool:
    """Change one batch; whether this task is to go on at once."""
    with atomic():
        bulk = _bulks().select_for_update().filter(id=bulk_id, turn=turn, ended_at=None).first()
        if bulk is None:
            return False
        ids = list(everything(bulk).values_list("id", flat=True)[: _size(bulk)])
        if not ids:
            _bulks().filter(id=bulk_id).update(ended_at=Now())
            return False
        held = _hold(ids)
        _change(bulk, held)
        bulk.cursor, bulk.done = ids[-1], bulk.done + len(held)
        bulk.passed_over += len(ids) - len(held)
        bulk.save(update_fields=["cursor", "done", "passed_over"])
        _bulks().filter(id=bulk_id).update(moved_at=Now())
        if bulk.per_second:
            _hand_over(bulk, delay=len(ids) / bulk.per_second)
    return not bulk.per_second


def _size(bulk: BulkOperation) -> int:
    """Of a batch: with a rate, about a second's worth."""
    return min(BATCH, max(1, int(bulk.per_second))) if bulk.per_second else BATCH


def _hold(ids: list[UUID]) -> list[Message]:
    """Lock those that still wait for a person. One that somebody else holds right now is just leaving the state."""
    rows = Message.objects.using(conf().DATABASE).filter(OPEN_FAILURE, id__in=ids).only("id", "type")
    return list(rows.select_for_update(skip_locked=True))


def _change(bulk: BulkOperation, held: list[Message]) -> None:
    ids = [message.id for message in held]
    if bulk.kind == BulkOperation.Kind.DISCARD:
        discard(ids, bulk.reason)
    else:
        redrive(ids)
    done = "Discarded" if bulk.kind == BulkOperation.Kind.DISCARD else "Redriven"
    note(
        _actor(bulk.asked_by),
        held,
        CHANGED,
        f"{done}: {bulk.reason} (with all that match: {bulk.query or 'everything'})",
    )


def _hand_on(bulk_id: UUID, turn: int) -> None:
    with atomic():
        bulk = _bulks().select_for_update().filter(id=bulk_id, turn=turn, ended_at=None).first()
        if bulk is not None:
            _hand_over(bulk, delay=0)


def _hand_over(bulk: BulkOperation, delay: float) -> None:
    """The next turn is another task's, committed together with the end of this one."""
    bulk.turn += 1
    bulk.save(update_fields=["turn"])
    work.apply_async((str(bulk.pk), bulk.turn), countdown=delay)


def _actor(name: str) -> Actor:
    """The user, for the admin's history; the name alone where there is no such user any more."""
    user = get_user_model()
    return user.objects.filter(**{user.USERNAME_FIELD: name}).first() or name


def _bulks() -> QuerySet[BulkOperation]:
    return BulkOperation.objects.using(conf().DATABASE).all()

"""The consumer's writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Now

from outbox.conf import conf
from outbox.database import atomic, connection
from outbox.models import Attempt, Message, Status
from outbox.models.message import addressed_to
from outbox.rows import NewMessage
from outbox.store.base import Store
from outbox.store.portable.rows import FREE, ON_ITS_WAY, later, rows
from outbox.store.records import Run, is_refunded

SENT: dict[str, Any] = {"status": Status.SENT, "sent_at": Coalesce("sent_at", Now())}


@dataclass(frozen=True)
class Mark:
    """What the transaction at hand has marked consumed: a hook that does nothing, and is there as long as the mark is.

    Django drops it with the savepoint or the transaction that is rolled back, and at the commit.
    """

    message_id: UUID
    attempt: int

    def __call__(self) -> None:
        """Committed: from now on the column says so to everybody."""


class Consuming(Store):
    """See :class:`outbox.store.base.Store`."""

    def consume(self, message_id: UUID, attempt: int, consumer: str) -> bool | None:
        free = _current(message_id, attempt).filter(addressed_to(consumer), started_at=None)
        marked = free.update(consumed_at=Now(), **SENT, **FREE)
        if marked and connection().in_atomic_block:
            connection().on_commit(Mark(message_id, attempt))
        return _is_keyed(message_id) if marked else None

    def take_lease(
        self, message_id: UUID, attempt: int, seconds: float, lock_id: UUID, worker: str, consumer: str
    ) -> bool:
        free = _current(message_id, attempt).filter(addressed_to(consumer), started_at=None)
        held = {"lock_id": lock_id, "locked_by": worker, "locked_until": later(seconds)}
        return free.update(started_at=Now(), **held, **SENT) == 1

    def finish_lease(self, message_id: UUID, lock_id: UUID) -> bool | None:
        held = rows().filter(pk=message_id, lock_id=lock_id, consumed_at=None)
        return _is_keyed(message_id) if held.update(consumed_at=Now(), **FREE) else None

    def fail(self, run: Run, error: str, delay: float | None, stage: str) -> bool:
        with atomic():
            failed = _held_by(_current(run.message_id, run.attempt), run.lock_id).update(
                status=Status.FAILED if delay is None else Status.PENDING,
                attempts=F("attempts") - int(is_refunded(stage, delay)),
                next_attempt_at=later(delay or 0.0),
                started_at=None,
                resends=0,
                last_error=Value(error),
                **FREE,
            )
            if failed:
                _note(run.message_id, run.attempt, error, run.worker, stage)
        return bool(failed)

    def reschedule(self, run: Run, error: str, row: NewMessage) -> bool:
        open_ = Q() if _is_marked_here(run.message_id, run.attempt) else Q(consumed_at=None)
        with atomic():
            found = rows().select_for_update().filter(open_, pk=run.message_id, attempts=run.attempt)
            old = _held_by(found.filter(status__in=[Status.PROCESSING, Status.SENT]), run.lock_id).first()
            if old is None:
                return False
            rows().filter(pk=run.message_id).update(
                status=Status.PENDING,
                type=row.type,
                consumer=row.consumer,
                payload=json.loads(row.payload),
                headers={**old.headers, **json.loads(row.headers)},
                queue=row.queue,
                priority=row.priority,
                next_attempt_at=row.next_attempt_at or Now() + timedelta(seconds=row.delay),
                started_at=None,
                consumed_at=None,
                resends=0,
                last_error=Value(error),
                **FREE,
            )
            _note(run.message_id, run.attempt, error, run.worker)
        return True

    def rearm(self, message_id: UUID, delay: float, error: str, worker: str) -> bool:
        armed = (
            rows()
            .filter(pk=message_id, discarded_at=None)
            .update(
                status=Status.PENDING,
                consumed_at=None,
                started_at=None,
                resends=0,
                next_attempt_at=later(delay),
                last_error=Value(error),
                **FREE,
            )
        )
        if armed and error:
            _note(message_id, rows().values_list("attempts", flat=True).get(pk=message_id), error, worker)
        return bool(armed)

    def call_off(self, message_id: UUID, reason: str) -> bool | None:
        open_ = rows().filter(pk=message_id, consumed_at=None, discarded_at=None)
        closed = open_.update(
            status=Status.FAILED,
            discarded_at=Now(),
            last_error=Value(reason),
            waits_for=None,
            schedule_key=None,
            **FREE,
        )
        return _is_keyed(message_id) if closed else None


def _current(message_id: UUID, attempt: int) -> QuerySet[Message]:
    return rows().filter(ON_ITS_WAY, pk=message_id, attempts=attempt)


def _held_by(found: QuerySet[Message], lock_id: UUID | None) -> QuerySet[Message]:
    return found.filter(Q(started_at=None) if lock_id is None else Q(started_at=None) | Q(lock_id=lock_id))


def _is_keyed(message_id: UUID) -> bool:
    return rows().filter(pk=message_id).exclude(key="").exists()


def _note(
    message_id: UUID, attempt: int, error: str, worker: str, stage: str = Attempt.Stage.CONSUME
) -> None:
    Attempt.objects.using(conf().DATABASE).create(
        message_id=message_id, number=attempt, stage=stage, error=error, worker=worker
    )


def _is_marked_here(message_id: UUID, attempt: int) -> bool:
    return any(hook[1] == Mark(message_id, attempt) for hook in connection().run_on_commit)

"""What brings back the messages that somebody left behind."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Least, Now

from outbox.conf import conf
from outbox.database import atomic
from outbox.models import Attempt, Message, Pause, Status
from outbox.store.base import Store
from outbox.store.portable.rows import DUE_AGAIN, FREE, ON_ITS_WAY, OVER, REFUND, locked, rows
from outbox.store.records import LOST, UNCONSUMED, Rescued

MOST_RESENDS = 32767


class Rescuing(Store):
    """See :class:`outbox.store.base.Store`."""

    def free(self, ids: Sequence[UUID]) -> int:
        over = list(rows().filter(OVER, id__in=ids).values_list("id", flat=True))
        return rows().filter(waits_for__in=over).update(**DUE_AGAIN) if over else 0

    def heal(self, limit: int) -> int:
        later = Q(occurred_at__gt=OuterRef("occurred_at")) | Q(
            occurred_at=OuterRef("occurred_at"), id__gt=OuterRef("id")
        )
        ahead = rows().filter(pk=OuterRef("waits_for")).exclude(OVER).exclude(later, status=Status.PENDING)
        pause = Pause.objects.using(conf().DATABASE).filter(pk=OuterRef("waits_for"))
        lost = rows().filter(~Exists(ahead), ~Exists(pause), waits_for__isnull=False)
        with atomic():
            ids = list(lost.values_list("id", flat=True)[:limit])
            return rows().filter(id__in=ids, waits_for__isnull=False).update(**DUE_AGAIN)

    def rescue(self, limit: int, max_lost: int, max_resends: int) -> Rescued:
        overdue = rows().filter(ON_ITS_WAY, locked_until__lt=Now()).order_by("locked_until")
        with atomic():
            found = list(locked(overdue)[:limit])
            for row in found:
                _bring_back(row, max_lost, max_resends)
        resent = sum(_is_unconsumed(row) for row in found)
        return Rescued(len(found) - resent, resent)


def _is_unconsumed(row: Message) -> bool:
    return row.status == Status.SENT and row.started_at is None


def _bring_back(row: Message, max_lost: int, max_resends: int) -> None:
    started = row.started_at is not None
    lost = Attempt.objects.using(conf().DATABASE).filter(
        message=row, stage=Attempt.Stage.LOST, number__gt=row.redriven_after
    )
    worn_out = _is_unconsumed(row) and row.resends >= max_resends
    hopeless = worn_out or (started and max_lost <= 1 + lost.count())
    error = UNCONSUMED if worn_out else LOST if started else row.last_error
    changed = (
        rows()
        .filter(Q(pk=row.pk, attempts=row.attempts, locked_until__lt=Now()), ON_ITS_WAY)
        .update(
            status=Status.FAILED if hopeless else Status.PENDING,
            next_attempt_at=Now(),
            started_at=None,
            attempts=F("attempts") if started or hopeless else REFUND,
            resends=Least(F("resends") + int(_is_unconsumed(row)), MOST_RESENDS),
            last_error=Value(error),
            **FREE,
        )
    )
    if changed and (started or hopeless):
        lost.create(message=row, number=row.attempts, stage=Attempt.Stage.LOST, error=error, worker="")

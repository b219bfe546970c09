"""What an operator does with messages: each is one conditional UPDATE, so that a race changes nothing twice."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models import Message, Status
from outbox.relay.wakeup import wake_on_commit


def redrive(ids: Iterable[UUID]) -> int:
    """Failed → Pending, due now, with a fresh set of attempts; the errors of earlier ones stay in the history.

    ``attempts`` goes on counting, so that late deliveries of earlier attempts stay refused.

    Returns how many were Failed and not discarded, and so were changed.
    """
    changed = _failed(ids).update(
        status=Status.PENDING, redriven_after=F("attempts"), resends=0, next_attempt_at=Now()
    )
    if changed:
        wake_on_commit()
    return changed


def discard(ids: Iterable[UUID], reason: str) -> int:
    """Close Failed messages for good, with a reason. Returns how many were open and so were changed.

    Raises:
        ValueError: the reason is empty.
    """
    if not reason.strip():
        raise ValueError("Say why the messages are discarded: the reason is kept with them.")
    return _failed(ids).update(discarded_at=Now(), last_error=f"Discarded: {reason.strip()}")


def send_now(ids: Iterable[UUID]) -> int:
    """Make Pending messages due now, whatever their backoff. Returns how many were Pending."""
    pending = Message.objects.using(conf().DATABASE).filter(id__in=list(ids), status=Status.PENDING)
    changed = pending.update(next_attempt_at=Now())
    if changed:
        wake_on_commit()
    return changed


def _failed(ids: Iterable[UUID]) -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE).filter(
        id__in=list(ids), status=Status.FAILED, discarded_at__isnull=True
    )

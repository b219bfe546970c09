"""What a relay makes of pauses and rate limits, step by step."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from outbox import claims
from outbox.models import Message, RateLimit, Status
from outbox.relay.gate import Gate

TYPE = "sample.add"


def look(limit: int = 1000) -> list[UUID]:
    """One look of a relay that has just been told: claims, asks, puts back what may not go. Returns what may."""
    claim = claims.claim(limit)
    admission = Gate().admit(claim.messages)
    claims.hold(claim, admission.held)
    claims.defer(claim, admission.deferred)
    claims.settle_sent(claim, [m.id for m in admission.admitted])
    return [m.id for m in admission.admitted]


def pass_time(seconds: float) -> None:
    """As if so much time had passed for everything that waits for a limit."""
    span = timedelta(seconds=seconds)
    for row in RateLimit.objects.all():
        row.refilled_at, row.last_slot_at = row.refilled_at - span, row.last_slot_at - span
        row.last_return_at -= span
        row.save()
    for message in Message.objects.filter(status=Status.PENDING):
        Message.objects.filter(pk=message.pk).update(
            occurred_at=message.occurred_at - span,
            next_attempt_at=message.next_attempt_at - span,
            put_off_until=message.put_off_until and message.put_off_until - span,
        )

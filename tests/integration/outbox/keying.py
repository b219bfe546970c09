"""Messages with keys, and what relays and workers do with them, step by step."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from outbox import claims, consumption
from outbox.api import send_command
from outbox.claims import Claim
from outbox.models import Message


def keyed(key: str, count: int = 1, **options: object) -> list[UUID]:
    """Committed messages of one key, in the order in which they were published."""
    with transaction.atomic():
        return [send_command("sample.add", {"a": n}, key=key, **options) for n in range(count)]


def take(limit: int = 100) -> Claim:
    """Claim and send as a relay does."""
    claim = claims.claim(limit)
    claims.settle_sent(claim, claim.ids)
    return claim


def taken(limit: int = 100) -> list[UUID]:
    """Claim as a relay does, once what can wait has been put aside."""
    return take(limit).ids


def consume(id_: UUID) -> None:
    """Send it and consume it, as a worker does."""
    row = Message.objects.get(pk=id_)
    with transaction.atomic():
        assert consumption.consume(id_, row.attempts)

"""A relay's settle that comes late, and one that only finds a quick consumer's work."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db.models.functions import Now

from outbox import claims, consumption
from outbox.claims import Claim
from outbox.models import Attempt, Message
from outbox.relay.batch import Batch
from outbox.relay.gate import Gate
from outbox.relay.horizon import Horizon
from outbox.store.base import Store
from outbox.store.portable import Portable
from outbox.store.postgresql import PostgreSQL

STORES = [Portable(), PostgreSQL()]


def count(store: Store, claim: Claim) -> int:
    """As the relay asks."""
    return store.unsettled(
        {message.id: message.attempts for message in claim.messages}, claim.lock_id
    ).refused


def lease_ends(ids: list[UUID]) -> None:
    """And a rescue finds them."""
    Message.objects.filter(pk__in=ids).update(locked_until=Now() - timedelta(seconds=1))
    assert claims.rescue(10).expired == len(ids)


@pytest.mark.parametrize("store", STORES)
def test_what_a_consumer_did_before_the_settle_is_no_refusal(store: Store, messages) -> None:
    """It consumed one, failed on others, of which one is taken again, and did not know one; the last is still ours."""
    consumed, failed, again, unknown, _ = messages(5)
    claim = claims.claim(10)
    assert consumption.consume(consumed, 1)
    assert consumption.fail(failed, 1, "quick", 5.0)
    assert consumption.fail(again, 1, "quick", 0.0)
    assert consumption.fail(unknown, 1, "what?", 5.0, stage=Attempt.Stage.UNKNOWN)
    assert claims.claim(1).ids == [again]
    assert count(store, claim) == 0
    claims.settle_sent(claim, claim.ids)
    assert count(store, claim) == 0


@pytest.mark.parametrize("store", STORES)
def test_what_came_back_or_was_taken_by_another_relay_is_counted(store: Store, messages) -> None:
    """The lease had run out."""
    ids = messages(3)
    claim = claims.claim(10)
    lease_ends(ids[:2])
    assert claims.claim(1).ids == ids[:1]
    assert count(store, claim) == 2


def test_a_batch_tells_a_quick_failure_from_a_lost_lease(messages, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is told that a lease had run out."""
    (id_,) = messages(1)
    batch = Batch.claim("relay", Horizon(), Gate())
    assert consumption.fail(id_, 1, "quick", 5.0)
    assert batch.settle({}).refused == 0
    assert "lease" not in caplog.text

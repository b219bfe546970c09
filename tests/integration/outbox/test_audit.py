"""What the audit finds, and what it leaves alone."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db.models.functions import Now

from outbox import audit, claims, consumption, controls
from outbox.models import Message
from outbox.relay.engine import Relay
from outbox.transports.memory import MemoryTransport


def hours_pass() -> None:
    """Everything is long overdue, by its own time."""
    Message.objects.update(next_attempt_at=Now() - timedelta(hours=5))


def findings() -> list[str]:
    """Of the checks that look for what is stuck."""
    return [*audit.overdue_messages(), *audit.needless_waits()]


def test_what_is_due_and_not_sent_is_found(messages) -> None:
    """Nothing holds it back: no relay runs."""
    (id_,) = messages(1)
    assert findings() == []
    hours_pass()
    assert [str(id_) in finding for finding in findings()] == [True]


def test_what_a_pause_holds_back_is_not_stuck(messages) -> None:
    """However long it lasts: somebody wants it so."""
    messages(3)
    controls.pause("type", "sample.add", "The provider is down")
    Relay(MemoryTransport()).drain()
    hours_pass()
    assert findings() == []


def test_what_waits_behind_a_failed_message_of_its_key_is_not_stuck(messages) -> None:
    """A person decides over the failed one; what is behind it has its place in the key."""
    first, *_ = messages(3, key="order-1")
    claim = claims.claim(10)
    claims.settle_sent(claim, claim.ids)
    claims.claim(10)
    assert consumption.fail(first, 1, "broken", None)
    hours_pass()
    assert Message.objects.exclude(waits_for=None).count() == 2
    assert findings() == []


@pytest.mark.parametrize("is_there", [True, False])
def test_a_wait_for_what_is_over_or_gone_is_found(messages, is_there: bool) -> None:
    """A relay lets it go within minutes: none runs."""
    over, behind = messages(2)
    Message.objects.filter(pk=over).update(
        status="sent", sent_at=Now(), consumed_at=Now(), locked_until=None, lock_id=None
    )
    ahead = over if is_there else uuid4()
    Message.objects.filter(pk=behind).update(waits_for=ahead)
    hours_pass()
    (finding,) = findings()
    assert f"{behind} (sample.add) waits for {ahead}, which is over or gone" in finding


def test_each_circle_is_found_once(messages) -> None:
    """With those in it, and without those behind it."""
    ids = messages(7)
    waits: dict[UUID, UUID] = dict(zip(ids, [*ids[1:3], ids[0], ids[0], ids[5], ids[4], ids[3]], strict=True))
    for id_, ahead in waits.items():
        Message.objects.filter(pk=id_).update(waits_for=ahead)
    hours_pass()
    long, short = findings()
    assert [str(id_) in long for id_ in ids] == [True] * 3 + [False] * 4
    assert [str(id_) in short for id_ in ids] == [False] * 4 + [True] * 2 + [False]

"""Messages that nobody here knows: kept for those who may, then for a person."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db.models import F
from django.db.models.functions import Now

from outbox import claims, consumption, strangers
from outbox.deliveries import Delivery
from outbox.exceptions import PermanentError, UnknownType
from outbox.models import Attempt, Message, Status
from outbox.patience import next_looks
from outbox.redrive import redrive
from outbox.relay.batch import Round
from outbox.relay.engine import Relay
from outbox.transports.memory import MemoryTransport

pytestmark = pytest.mark.django_db(transaction=True)


def old_relay() -> Relay:
    """One whose code is older than the messages."""
    return Relay(MemoryTransport(refuse=lambda m: UnknownType(f"Nothing handles {m.type}")), name="old")


def look_again(*, after: float = 0) -> None:
    """As if the wait were over, and so many seconds had passed."""
    Message.objects.filter(status=Status.PENDING).update(next_attempt_at=Now() - timedelta(seconds=1))
    Attempt.objects.update(failed_at=F("failed_at") - timedelta(seconds=after))


def test_an_older_relay_gives_back_what_it_does_not_know(messages) -> None:
    """The row says why it waits, no attempt is spent, and a relay that knows it sends it."""
    (id_,) = messages(1)
    for _ in range(3):
        assert old_relay().run_once() == Round(claimed=1, failed=1)
        row = Message.objects.get()
        assert (row.status, row.attempts) == (Status.PENDING, 0)
        assert row.last_error == "UnknownType: Nothing handles sample.add"
        look_again()
    new = MemoryTransport()
    assert Relay(new).run_once() == Round(claimed=1, sent=1)
    assert [(m.id, m.attempts, m.tries) for m in new.sent] == [(id_, 1, 1)]
    kept = set(Attempt.objects.values_list("stage", "number", "worker"))
    assert (Attempt.objects.count(), kept) == (3, {("unknown", 1, "old")})


def test_what_nobody_comes_to_know_is_failed_with_the_reason(messages, settings) -> None:
    """Once the patience is over, and not before; a person may have it looked at anew."""
    settings.OUTBOX = {"UNKNOWN_TYPE_PATIENCE": 60.0}
    (id_,) = messages(1)
    old_relay().run_once()
    look_again(after=59)
    old_relay().run_once()
    assert Message.objects.get().status == Status.PENDING
    look_again(after=2)
    old_relay().run_once()
    row = Message.objects.get()
    assert (row.status, row.attempts) == (Status.FAILED, 1)
    assert "Nothing handles sample.add" in row.last_error
    redrive([id_])
    old_relay().run_once()
    assert Message.objects.get().status == Status.PENDING


def test_looks_are_rarer_each_time_and_the_last_is_at_the_end(messages, settings) -> None:
    """By the database's clock, whatever this machine's clock says."""
    settings.OUTBOX = {"UNKNOWN_TYPE_PATIENCE": 100.0}
    (id_,) = messages(1)
    waits = []
    for looks in (0, 1, 4, 5):
        have = Attempt.objects.count()
        for _ in range(looks - have):
            Attempt.objects.create(message_id=id_, number=1, stage=Attempt.Stage.UNKNOWN, error="?")
        waits.append(next_looks([id_])[id_] or 0.0)
    assert [0.8 <= waits[0] <= 1.2, 1.6 <= waits[1] <= 2.4, 12 < waits[2] < 20, 25 < waits[3] <= 30] == [
        True
    ] * 4
    look_again(after=90)
    assert 9 < (next_looks([id_])[id_] or 0) < 10
    look_again(after=10)
    assert next_looks([id_]) == {id_: None}


def test_other_failures_have_no_part_in_it(messages) -> None:
    """Neither do they shorten the patience, nor does it spare them."""
    first, second = messages(2)
    errors: dict[UUID, Exception] = {first: UnknownType("?"), second: PermanentError("never")}
    relay = Relay(MemoryTransport(refuse=lambda m: errors[m.id]))
    Attempt.objects.create(message_id=first, number=1, stage=Attempt.Stage.SEND, error="before")
    look_again(after=3600)
    assert relay.run_once() == Round(claimed=2, failed=2)
    assert [Message.objects.get(pk=id_).status for id_ in (first, second)] == [Status.PENDING, Status.FAILED]


def test_looks_of_earlier_attempts_have_no_part_in_it(messages) -> None:
    """What a deployment of long ago left there does not shorten the patience of today's."""
    messages(1)
    old_relay().run_once()
    look_again(after=86_400)
    assert Relay(MemoryTransport(refuse=lambda _: OSError("reset"))).run_once().failed == 1
    look_again(after=86_400)
    for _ in range(2):
        assert old_relay().run_once().failed == 1
        row = Message.objects.get()
        assert (row.status, row.attempts) == (Status.PENDING, 1)
        look_again(after=1)


def test_a_worker_counts_looks_as_a_relay_does(messages) -> None:
    """Those of the attempt that it was handed, and no earlier ones."""
    (id_,) = messages(1)
    Attempt.objects.create(message_id=id_, number=1, stage=Attempt.Stage.UNKNOWN, error="?")
    Message.objects.update(attempts=1)
    look_again(after=86_400)
    claims.settle_sent(claims.claim(1), [id_])
    for number in (2, 2):
        strangers.hand_back(Delivery(id_, number, number, "", "", "w"), "sample.add", str(id_))
        row = Message.objects.get()
        assert (row.status, row.attempts) == (Status.PENDING, number - 1)
        look_again(after=1)
        claims.settle_sent(claims.claim(1), [id_])


def test_a_consumer_that_does_not_know_it_spends_no_attempt(messages) -> None:
    """The next delivery has the same number, and the fence holds: what the old one still writes is refused."""
    (id_,) = messages(1)
    claims.settle_sent(claims.claim(1), [id_])
    stage = Attempt.Stage.UNKNOWN
    assert consumption.fail(id_, 1, "UnknownType: ?", 0.0, worker="w", stage=stage)
    assert not consumption.fail(id_, 1, "UnknownType: ?", 0.0, worker="w", stage=stage)
    row = Message.objects.get()
    assert (row.status, row.attempts, row.last_error) == (Status.PENDING, 0, "UnknownType: ?")
    (again,) = claims.claim(1).messages
    assert (again.attempts, again.tries) == (1, 1)
    assert consumption.fail(id_, 1, "UnknownType: ?", None, stage=stage)
    row.refresh_from_db()
    assert (row.status, row.attempts) == (Status.FAILED, 1)

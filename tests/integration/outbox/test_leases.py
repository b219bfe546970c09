"""A relay's lease: kept while it works, given back in time, and fenced once it is lost."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from outbox import claims, consumption
from outbox.claims import Failure
from outbox.models import Attempt, Message, Status
from outbox.relay.batch import Batch
from outbox.relay.engine import Relay, shared_relay
from outbox.transports.base import Errors, Transport
from outbox.transports.memory import MemoryTransport
from tests.harness.waiting import wait_until


class Gated(Transport):
    """A broker that answers when it is told to."""

    def __init__(self) -> None:
        self.sending = threading.Event()
        self.answer = threading.Event()
        self.sent: list[UUID] = []

    def send(self, messages) -> Errors:
        self.sending.set()
        self.answer.wait(30)
        self.sent += [message.id for message in messages]
        return {}


@pytest.fixture
def gated() -> Gated:
    return Gated()


def in_background(work) -> threading.Thread:
    """Run it in a thread, which closes its database connection."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def lose_leases() -> None:
    """As if the leases had run out, and a rescue had come by."""
    Message.objects.filter(status=Status.PROCESSING).update(locked_until=Now() - timedelta(seconds=1))
    claims.rescue(100)


def test_every_late_write_is_refused_and_counted(messages) -> None:
    """After a re-claim the old holder's success, retry, dead letter and return change nothing."""
    ids = messages(3)
    old = claims.claim(10, "old")
    lose_leases()
    new = claims.claim(10, "new")
    assert set(new.ids) == set(ids)
    before = list(Message.objects.order_by("id").values())
    assert claims.settle_sent(old, ids[:1]) == 0
    assert (
        claims.settle_failed(old, [Failure(ids[1], "late", 1.0), Failure(ids[2], "late", None)], "old") == 0
    )
    assert claims.release(old, ids) == claims.renew(old, ids) == claims.defer(old, [(ids[0], 5.0)]) == 0
    assert claims.unsettled(old, ids) == (set(), 3)
    assert list(Message.objects.order_by("id").values()) == before
    assert not Attempt.objects.exists()


def test_a_relay_that_lost_its_lease_counts_what_is_refused(messages, gated: Gated) -> None:
    """Its round says so, and whoever has the messages now keeps them."""
    messages(2)
    relay, done = Relay(gated), []
    thread = in_background(lambda: done.append(relay.run_once()))
    gated.sending.wait(10)
    lose_leases()
    new = claims.claim(10)
    gated.answer.set()
    thread.join()
    assert (done[0].sent, done[0].refused) == (0, 2)
    assert set(Message.objects.values_list("lock_id", flat=True)) == {new.lock_id}


def test_a_consumer_that_was_quicker_is_no_refusal(messages) -> None:
    """It has settled the row itself."""
    (id_,) = messages(1)

    class Quick(MemoryTransport):
        def send(self, sent) -> Errors:
            consumption.consume(id_, sent[0].attempts)
            connection.close()
            return {}

    done = Relay(Quick()).run_once()
    assert (done.sent, done.refused) == (0, 0)


def test_the_lease_is_renewed_while_the_broker_is_slow(messages, gated: Gated, settings) -> None:
    """A batch that takes longer than its lease stays with its relay."""
    settings.OUTBOX = {**settings.OUTBOX, "LEASE": 1.5}
    messages(1)
    thread = in_background(Relay(gated).run_once)
    gated.sending.wait(10)
    first = Message.objects.get().locked_until
    wait_until(lambda: Message.objects.get().locked_until > first, "the lease to be renewed", timeout=10)
    gated.answer.set()
    thread.join()
    assert Message.objects.get().status == Status.SENT


def test_what_is_not_started_by_half_of_its_lease_goes_back(messages, gated: Gated, settings) -> None:
    """The batch behind a slow one is given back unsent, its attempt refunded."""
    settings.OUTBOX = {**settings.OUTBOX, "LEASE": 1.0, "BATCH_SIZE": 1}
    first, second = messages(2)
    thread = in_background(lambda: Relay(gated).drain(batches=2))
    wait_until(
        lambda: Message.objects.filter(status=Status.PROCESSING).count() == 2, "two batches to be claimed"
    )
    wait_until(lambda: _seconds_left(second) < 0.5, "half of the second lease to be over")
    gated.answer.set()
    thread.join()
    assert gated.sent == [first]
    assert Message.objects.filter(pk=second, status=Status.PENDING, attempts=0).exists()


def test_a_broker_that_never_answers_is_left_behind(messages, gated: Gated, settings) -> None:
    """After a lease's time the batch goes back, the breaker opens, and the relay is free for its next try."""
    settings.OUTBOX = {**settings.OUTBOX, "LEASE": 0.6}
    messages(1)
    relay = Relay(gated)
    done = relay.run_once()
    assert (done.claimed, done.released, relay.breaker.is_open) == (1, 1, True)
    assert Message.objects.filter(status=Status.PENDING, attempts=0).exists()
    relay.transport = MemoryTransport()
    wait_until(lambda: relay.run_once().sent == 1, "the next try to send it")


def test_a_relay_that_is_to_stop_gives_back_what_it_has_not_started(messages, gated: Gated, settings) -> None:
    """The batch in hand is finished; the one behind it goes back at once."""
    settings.OUTBOX = {**settings.OUTBOX, "BATCH_SIZE": 1}
    first, second = messages(2)
    relay = Relay(gated)
    thread = in_background(relay.drain)
    wait_until(
        lambda: Message.objects.filter(status=Status.PROCESSING).count() == 2, "two batches to be claimed"
    )
    relay.stopping = True
    gated.answer.set()
    thread.join()
    assert dict(Message.objects.values_list("id", "status")) == {first: Status.SENT, second: Status.PENDING}


def test_a_stop_is_bounded_when_the_broker_hangs(messages, gated: Gated, monkeypatch) -> None:
    """The relay waits for the broker's answer for the grace only, then gives the batch back."""
    monkeypatch.setattr("outbox.relay.batch.STOP_GRACE", 0.3)
    messages(1)
    relay = Relay(gated)
    thread = in_background(relay.drain)
    gated.sending.wait(10)
    relay.stopping = True
    thread.join(10)
    assert not thread.is_alive()
    assert Message.objects.filter(status=Status.PENDING, attempts=0).exists()


def test_the_next_batch_is_claimed_while_one_is_sent(messages, gated: Gated, settings) -> None:
    """The stages overlap: the database does not wait for the broker."""
    settings.OUTBOX = {**settings.OUTBOX, "BATCH_SIZE": 2}
    messages(4)
    thread = in_background(Relay(gated).drain)
    wait_until(
        lambda: Message.objects.filter(status=Status.PROCESSING).count() == 4,
        "the second batch to be claimed",
    )
    assert gated.sent == []
    gated.answer.set()
    thread.join()
    assert len(gated.sent) == 4


class Raising(Transport):
    """A broker of another kind, whose troubles are plain errors of the operating system."""

    def send(self, messages) -> Errors:
        raise TimeoutError("no answer")


def test_a_transport_may_raise_plain_errors(messages) -> None:
    """An error of the operating system is a broker that is away, a time-out among them."""
    messages(1)
    relay = Relay(Raising())
    done = relay.run_once()
    assert (done.claimed, done.released, relay.breaker.is_open) == (1, 1, True)


@pytest.mark.row_locks
def test_renewing_and_putting_off_never_wait_for_a_consumer(messages) -> None:
    """A consumer that was quicker holds its row for as long as it works; the other rows of the batch are renewed."""
    ids = messages(2)
    claim = claims.claim(10)
    done: list[int] = []

    def work() -> None:
        done.append(claims.renew(claim, ids))
        done.append(claims.defer(claim, [(ids[0], 5.0), (ids[1], 5.0)]))

    with transaction.atomic():
        assert consumption.consume(ids[0], 1)
        in_background(work).join(10)
        assert done == [1, 1]


def test_what_fails_between_claim_and_send_gives_the_claim_back(messages, monkeypatch) -> None:
    """Whatever it was, the rows do not wait for the lease to end."""
    messages(1)
    monkeypatch.setattr("outbox.relay.batch.close_expired", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Relay(MemoryTransport()).run_once()
    assert Message.objects.get().status == Status.PENDING


def test_threads_share_a_relay_one_at_a_time() -> None:
    """Dispatch tasks of a thread pool use one relay of their process: no connection is left behind by a thread."""
    relays: list[Relay] = []

    def use() -> None:
        with shared_relay() as relay:
            relays.append(relay)

    for thread in [in_background(use) for _ in range(5)]:
        thread.join()
    assert len(relays) == 5
    assert len(set(map(id, relays))) == 1


@pytest.mark.django_db(transaction=True)
def test_a_claim_names_its_holder(messages) -> None:
    """For people to read: which relay has it, or had it last."""
    messages(1)
    Batch.claim("relay-7", *_looking())
    assert Message.objects.get().locked_by == "relay-7"


def test_fresh_and_retried_messages_do_not_starve_each_other(messages) -> None:
    """Of one priority the longest due goes first: no flood of retries or of fresh ones keeps the others out."""
    (fresh,) = messages(1, next_attempt_at=Now() - timedelta(seconds=30))
    messages(5, attempts=3, next_attempt_at=Now() - timedelta(seconds=20))
    (retried,) = messages(1, attempts=7, next_attempt_at=Now() - timedelta(seconds=10))
    messages(5)
    assert fresh in claims.claim(6).ids
    assert retried in claims.claim(6).ids


def _seconds_left(id_: UUID) -> float:
    row = Message.objects.annotate(now=Now()).get(pk=id_)
    assert row.locked_until is not None
    return (row.locked_until - row.now).total_seconds()


def _looking():
    from outbox.relay.gate import Gate
    from outbox.relay.horizon import Horizon

    return Horizon(), Gate()

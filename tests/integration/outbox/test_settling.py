"""What became of a batch is written down while the next ones are claimed and sent."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from outbox import claims
from outbox.models import Message, Status
from outbox.relay.engine import Relay
from outbox.relay.settling import AGAIN_AFTER
from outbox.transports.base import Errors
from outbox.transports.memory import MemoryTransport
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.postgresql


@pytest.fixture
def relay(settings) -> Relay:
    """One whose batches are of two messages."""
    settings.OUTBOX = {**settings.OUTBOX, "BATCH_SIZE": 2}
    return Relay(MemoryTransport())


@contextmanager
def settling(monkeypatch, before) -> Iterator[list[str]]:
    """Have something done before each settling; yields the names of the threads that settle."""
    threads: list[str] = []
    settle = claims.settle_sent

    def noted(*args) -> int:
        threads.append(threading.current_thread().name)
        before(len(threads))
        return settle(*args)

    with monkeypatch.context() as patch:
        patch.setattr(claims, "settle_sent", noted)
        yield threads


class Held(MemoryTransport):
    """While it sends, another transaction takes hold of the first message, as a claim that began before ours does."""

    def send(self, messages) -> Errors:
        params = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}
        self.other = psycopg.connect(**params)
        self.other.execute("SELECT 1 FROM outbox_message WHERE id = %s FOR UPDATE", [messages[0].id])
        return super().send(messages)

    def let_go(self) -> None:
        self.other.close()


@pytest.fixture
def held() -> Iterator[Held]:
    transport = Held()
    yield transport
    transport.let_go()


def statuses() -> list[str]:
    return list(Message.objects.order_by("id").values_list("status", flat=True))


def fail_first(nth: int) -> None:
    """The first settling meets a flaw of ours."""
    if nth == 1:
        raise RuntimeError("a flaw of ours")


def background_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.endswith(" settles")]


def sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return cursor.fetchone()[0]


def test_the_next_batch_is_claimed_while_one_is_settled(messages, relay: Relay, monkeypatch) -> None:
    """Neither the settling nor the claiming waits for the other."""
    ids = messages(6)
    others: list[int] = []

    def before(nth: int) -> None:
        if nth == 1:
            processing = Message.objects.filter(status=Status.PROCESSING)
            wait_until(lambda: processing.count() == 6, "the third batch to be claimed")
            others.append(processing.count())

    with settling(monkeypatch, before):
        assert relay.drain().sent == 6
    assert others == [6]
    assert Message.objects.filter(id__in=ids, status=Status.SENT).count() == 6


def test_a_single_batch_needs_no_second_connection(messages, relay: Relay, monkeypatch) -> None:
    """Whoever finds little to do pays for nothing more."""
    messages(2)
    with settling(monkeypatch, lambda _: None) as threads:
        assert relay.drain().sent == 2
    assert threads == [threading.current_thread().name]


def test_a_drain_leaves_neither_thread_nor_connection(messages, relay: Relay) -> None:
    """They are the drain's own."""
    before = sessions()
    messages(6)
    relay.drain()
    wait_until(lambda: not background_threads() and sessions() == before, "them to be gone")


def test_where_its_connection_fails_another_one_settles(messages, relay: Relay, monkeypatch) -> None:
    """A database that ended that session is no reason to send anything twice."""
    messages(6)

    def before(nth: int) -> None:
        if nth == 1:
            connection.close()
            raise OperationalError("terminating connection due to administrator command")

    with settling(monkeypatch, before) as threads:
        assert relay.drain().sent == 6
    assert threads[1] == threading.current_thread().name
    assert Message.objects.filter(status=Status.SENT, lock_id=None).count() == 6


def test_another_error_in_the_background_ends_the_round(messages, relay: Relay, monkeypatch) -> None:
    """It is not lost with the thread; what was claimed and not sent goes back at once."""
    messages(8)

    with settling(monkeypatch, fail_first), pytest.raises(RuntimeError, match="a flaw of ours"):
        relay.drain()
    assert Message.objects.filter(status=Status.PENDING, attempts=0).exists()
    wait_until(lambda: not background_threads(), "the thread to be gone")


def test_inside_a_transaction_everything_stays_on_its_connection(messages, relay: Relay, monkeypatch) -> None:
    """As in a test case of Django: another connection would not see the rows."""
    messages(6)
    with transaction.atomic(), settling(monkeypatch, lambda _: None) as threads:
        assert relay.drain().sent == 6
    assert set(threads) == {threading.current_thread().name}


def test_what_another_claim_holds_is_settled_a_moment_later(messages, held: Held) -> None:
    """A claim that began before ours locks what ours took, only to see that it is taken. It costs us no lease."""
    relay = Relay(held)
    messages(2)
    assert relay.drain().sent == 1
    assert statuses() == [Status.PROCESSING, Status.SENT]
    assert 0 < relay.patience <= AGAIN_AFTER
    held.let_go()
    wait_until(lambda: relay.patience == 0, "its moment")
    assert relay.drain().sent == 1
    assert statuses() == [Status.SENT, Status.SENT]
    assert relay.patience == math.inf


def test_what_stays_locked_is_left_to_its_consumer(messages, held: Held) -> None:
    """It is tried once more, and not for ever: a consumer settles what it holds itself."""
    relay = Relay(held)
    messages(1)
    relay.drain()
    wait_until(lambda: relay.patience == 0, "its moment")
    assert relay.drain().sent == 0
    assert relay.patience == math.inf
    assert statuses() == [Status.PROCESSING]


def test_a_relay_that_ends_settles_what_is_left_at_once(messages, held: Held) -> None:
    """There is no moment later."""
    relay = Relay(held)
    messages(1)
    relay.drain()
    held.let_go()
    relay.close()
    assert statuses() == [Status.SENT]


def test_what_is_given_back_goes_back_although_another_claim_looks_at_it(messages) -> None:
    """A release, a rate limit or a pause does not leave a message to the end of its lease for that."""
    (id_,) = messages(1)
    claim = claims.claim(1)
    held, let_go = threading.Event(), threading.Event()

    def look() -> None:
        with transaction.atomic():
            Message.objects.select_for_update().get(pk=id_)
            held.set()
            let_go.wait(5)
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    held.wait(5)
    threading.Timer(0.03, let_go.set).start()
    assert claims.release(claim, claim.ids) == 1
    thread.join()
    assert Message.objects.get(pk=id_).status == Status.PENDING


def test_a_second_connection_that_is_not_to_be_had_costs_little(
    messages, relay: Relay, monkeypatch, settings
) -> None:
    """It is waited for once, for a sixth of the lease; then the relay settles by itself for a while."""
    settings.OUTBOX = {**settings.OUTBOX, "LEASE": 3.0}
    messages(12)
    come = threading.Event()

    def before(nth: int) -> None:
        if threading.current_thread().name.endswith(" settles"):
            come.wait(30)

    with settling(monkeypatch, before) as threads:
        assert relay.drain().sent == 12
        assert sum(name.endswith(" settles") for name in threads) == 1
        come.set()
        wait_until(lambda: not background_threads(), "the thread to be gone")
    assert set(statuses()) == {Status.SENT}


def test_an_error_of_one_batch_does_not_leave_the_next_one_unsettled(
    messages, relay: Relay, monkeypatch
) -> None:
    """It has been sent, and nobody else would settle it."""
    messages(6)

    with settling(monkeypatch, fail_first), pytest.raises(RuntimeError, match="a flaw of ours"):
        relay.drain()
    assert statuses()[:4] == [Status.PROCESSING, Status.PROCESSING, Status.SENT, Status.SENT]


def test_what_a_batch_under_settlement_held_is_looked_for_again(messages, relay: Relay, monkeypatch) -> None:
    """A claim that found nothing because this relay's own settle held it does not end the drain."""
    messages(6)
    claim, empty = claims.claim, []

    def unlucky(limit: int, *args) -> claims.Claim:
        """The third claim finds all rows held."""
        if not empty and relay._settling.is_busy:
            empty.append(True)
            return claims.Claim(uuid4(), [])
        return claim(limit, *args)

    monkeypatch.setattr(claims, "claim", unlucky)
    assert relay.drain().sent == 6
    assert empty

"""Order per key: the next message of a key is sent only after the one before it was consumed."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from outbox import claims, consumption
from outbox.api import discard, redrive
from outbox.claims import Failure
from outbox.models import Message
from outbox.relay.engine import Relay
from outbox.transports.memory import MemoryTransport
from tests.harness.waiting import wait_until
from tests.integration.outbox.keying import consume, keyed, take, taken


@pytest.mark.django_db(transaction=True)
class TestOrder:
    def test_the_next_goes_after_the_one_before_was_consumed(self) -> None:
        """One after the other: sent is not enough."""
        first, second, third = keyed("order-1", 3)
        assert taken() == [first]
        assert taken() == []
        consume(first)
        assert taken() == [second]
        consume(second)
        assert taken() == [third]

    def test_a_waiting_head_holds_only_its_key(self) -> None:
        """Messages of other keys, and those without one, go at once."""
        a, _ = keyed("a", 2)
        b, _ = keyed("b", 2)
        (free,) = keyed("", 1)
        assert set(taken()) == {a, b, free}
        assert taken() == []

    def test_a_head_that_is_retried_keeps_the_others_behind_it(self) -> None:
        """A retry later does not let a later message of its key pass."""
        first, second = keyed("a", 2)
        assert taken() == [first]
        assert consumption.fail(first, 1, "not now", 3600.0)
        assert taken() == []
        Message.objects.filter(pk=first).update(next_attempt_at=Now())
        assert taken() == [first]
        consume(first)
        assert taken() == [second]

    def test_a_failed_head_blocks_its_key(self) -> None:
        """By default: until a person redrives or discards it."""
        first, second = keyed("a", 2)
        taken()
        assert consumption.fail(first, 1, "never", None)
        assert taken() == []
        assert redrive([first]) == 1
        assert taken() == [first]
        consume(first)
        assert taken() == [second]

    def test_a_discarded_head_lets_the_next_one_go(self) -> None:
        """Discarding is an end."""
        first, second = keyed("a", 2)
        taken()
        taken()  # the second is put behind the first
        consumption.fail(first, 1, "never", None)
        assert discard([first], "not wanted") == 1
        claims.heal(100)
        assert taken() == [second]

    def test_a_failed_head_may_let_the_others_pass(self) -> None:
        """Where it was published so; it is redriven in its place again, before what still waits."""
        first, second, third = keyed("a", 3, blocks_key=False)
        assert taken() == [first]
        assert taken() == []
        consumption.fail(first, 1, "never", None)
        assert taken() == [second]
        redrive([first])
        assert taken() == []  # the second is on its way
        consume(second)
        assert taken() == [first]
        consume(first)
        assert taken() == [third]

    def test_a_head_that_cannot_be_sent_lets_the_others_pass(self) -> None:
        """A failure of sending counts as one of consuming."""
        first, second = keyed("a", 2, blocks_key=False)
        claim = claims.claim(1)
        assert taken() == []
        claims.settle_failed(claim, [Failure(first, "poison", None)], "relay")
        assert taken() == [second]

    def test_order_survives_a_partial_failure(self) -> None:
        """Of a batch of many keys some fail to be sent: the rows behind them stay behind them."""
        ids = {key: keyed(key, 2) for key in "abcd"}
        claim = claims.claim(100)
        assert {m.id for m in claim.messages} == {first for first, _ in ids.values()}
        bad = [ids["a"][0], ids["c"][0]]
        claims.settle_sent(claim, [id_ for id_ in claim.ids if id_ not in bad])
        claims.settle_failed(claim, [Failure(id_, "no", 0.0) for id_ in bad], "relay")
        for key in "bd":
            consume(ids[key][0])
        assert set(taken()) == {*bad, ids["b"][1], ids["d"][1]}

    def test_a_lost_message_is_sent_again_before_those_behind_it(self) -> None:
        """What the broker lost keeps its place."""
        first, second = keyed("a", 2)
        assert taken() == [first]
        assert taken() == []
        Message.objects.filter(pk=first).update(locked_until=Now() - timedelta(seconds=1))
        assert claims.rescue(10).resent == 1
        assert taken() == [first]
        consume(first)
        assert taken() == [second]

    def test_many_of_one_key_do_not_hold_up_another(self) -> None:
        """Three thousand wait behind their head: a relay puts them aside once, and goes on to the others."""
        keyed("long", 300)
        (other,) = keyed("other")
        seen: list[UUID] = []
        rounds = 0
        while other not in seen:
            claim = take(50)
            seen += claim.ids
            rounds += 1
            assert claim.more or other in seen
        assert rounds <= 8
        claim = take(50)
        assert (claim.messages, claim.more) == ([], False)  # nothing is looked at twice


@pytest.mark.django_db(transaction=True)
def test_order_holds_with_relays_and_consumers_at_work() -> None:
    """Two relays and four consumers that fail now and then: each key is consumed in its order, and none is left."""
    keys, length = 12, 12
    for n in range(length):
        for key in range(keys):
            keyed(f"k{key}", message_id=UUID(int=(n << 64) | key + 1))
    broker = MemoryTransport()
    consumed: dict[str, list[int]] = defaultdict(list)
    over, errors = threading.Event(), []

    def relay() -> None:
        own = Relay(broker)
        while not over.is_set():
            own.turn()
            over.wait(0.01)

    def consumer(seed: int) -> None:
        for n in itertools.count(seed):
            try:
                message = broker.sent.pop(0)
            except IndexError:
                if over.wait(0.01):
                    return
                continue
            if n % 7 == 0:
                consumption.fail(message.id, message.attempts, "bad luck", 0.0)
                continue
            with transaction.atomic():
                if consumption.consume(message.id, message.attempts):
                    consumed[message.key].append(message.id.int >> 64)

    def run(work: Callable[..., None], *args: int) -> None:
        try:
            work(*args)
        except Exception as error:  # noqa: BLE001  (looked at below)
            errors.append(error)
        finally:
            connection.close()

    jobs = [(relay,), (relay,), *[(consumer, n) for n in range(4)]]
    threads = [threading.Thread(target=run, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        left = Message.objects.filter(consumed_at=None)
        wait_until(lambda: errors or not left.exists(), "all to be consumed", timeout=60)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert dict(consumed) == {f"k{key}": list(range(length)) for key in range(keys)}

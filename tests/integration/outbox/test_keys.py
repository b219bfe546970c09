"""Order per key: the next message of a key is sent only after the one before it was consumed."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from outbox import claims, consumption
from outbox.api import discard, redrive, send_command
from outbox.claims import Claim, Failure
from outbox.models import Message, Status
from outbox.relay.engine import Relay
from outbox.transports.memory import MemoryTransport
from tests.harness.waiting import wait_until


def keyed(key: str, count: int = 1, **options: object) -> list[UUID]:
    """Committed messages of one key, in the order in which they were published."""
    with transaction.atomic():
        return [send_command("sample.add", {"a": n}, key=key, **options) for n in range(count)]


def taken(limit: int = 100) -> list[UUID]:
    """Claim as a relay does, once what can wait has been put aside."""
    return _take(limit).ids


def consume(id_: UUID) -> None:
    """Send it and consume it, as a worker does."""
    row = Message.objects.get(pk=id_)
    with transaction.atomic():
        assert consumption.consume(id_, row.attempts)


def _take(limit: int = 100) -> Claim:
    claim = claims.claim(limit)
    claims.settle_sent(claim, claim.ids)
    return claim


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
            claim = _take(50)
            seen += claim.ids
            rounds += 1
            assert claim.more or other in seen
        assert rounds <= 8
        claim = _take(50)
        assert (claim.messages, claim.more) == ([], False)  # nothing is looked at twice

    @pytest.mark.postgresql
    def test_two_of_a_key_are_never_on_their_way(self) -> None:
        """The database refuses it, whatever a relay saw."""
        first, second = keyed("a", 2)
        taken()
        with pytest.raises(IntegrityError, match="outbox_one_of_key_on_its_way"):
            Message.objects.filter(pk=second).update(
                status=Status.PROCESSING, lock_id=first, locked_until=Now(), waits_for=None
            )

    def test_two_of_a_key_never_wait_for_each_other(self) -> None:
        """An earlier one comes back while a later one is on its way, and then that comes back, too."""
        first, second = keyed("a", 2, blocks_key=False)
        taken()
        consumption.fail(first, 1, "never", None)
        assert taken() == [second]
        redrive([first])
        assert taken() == []  # the first waits for the second, which is on its way
        consumption.fail(second, 1, "later", 0.0)
        assert taken() == []  # now the second waits for the first, and the first for nobody
        assert taken() == [first]
        consume(first)
        assert taken() == [second]

    def test_a_wait_for_a_later_one_that_came_back_is_found(self) -> None:
        """Also when that one is not due for long."""
        first, second = keyed("a", 2, blocks_key=False)
        taken()
        consumption.fail(first, 1, "never", None)
        taken()
        redrive([first])
        taken()
        consumption.fail(second, 1, "later", 3600.0)
        assert claims.heal(10) == 1
        assert taken() == [first]

    def test_an_end_lets_go_one_message_only(self) -> None:
        """Each waits for the one before it: a long key costs each of its messages one look."""
        first, *others = keyed("a", 20)
        taken()
        assert Message.objects.filter(waits_for__isnull=False).count() == len(others)
        consume(first)
        assert Message.objects.filter(waits_for__isnull=False).count() == len(others) - 1

    @pytest.mark.row_locks
    def test_a_handler_at_work_holds_up_neither_its_key_nor_others(self) -> None:
        """While a head is being consumed, those behind it are neither locked nor in the way of other messages."""
        first, second, *_ = keyed("a", 30)
        taken(1)
        (free,) = keyed("")
        seen: list[UUID] = []
        unlocked: list[UUID] = []

        def relay() -> None:
            for _ in range(8):
                seen.extend(_take(5).ids)
            with transaction.atomic():
                unlocked.append(Message.objects.select_for_update(nowait=True).get(pk=second).pk)
            connection.close()

        with transaction.atomic():
            assert consumption.consume(first, 1)
            thread = threading.Thread(target=relay)
            thread.start()
            thread.join(20)
            assert not thread.is_alive()
        assert (seen, unlocked) == ([free], [second])
        assert taken() == [second]

    def test_what_is_let_go_is_due_at_the_end_of_the_line(self) -> None:
        """A relay that does not look from the start finds it there."""
        first, second = keyed("a", 2)
        taken()
        before = Message.objects.get(pk=second).next_attempt_at
        consume(first)
        assert Message.objects.get(pk=second).next_attempt_at > before

    def test_what_waits_for_something_that_is_gone_is_found(self) -> None:
        """A process that dies between an end and the freeing of what waits for it costs a minute, not the message."""
        first, second = keyed("a", 2)
        taken()
        taken()
        assert Message.objects.get(pk=second).waits_for == first
        Message.objects.filter(pk=first).delete()
        assert claims.heal(10) == 1
        assert taken() == [second]

    @pytest.mark.row_locks
    def test_a_message_that_commits_late_takes_its_place(self) -> None:
        """Published earlier and committed later: it goes next, before what waits."""
        late = threading.Event()
        published: list[UUID] = []

        def publish_slowly() -> None:
            with transaction.atomic():
                published.extend([send_command("sample.add", {"a": 0}, key="a")])
                late.wait(30)
            connection.close()

        thread = threading.Thread(target=publish_slowly)
        thread.start()
        wait_until(lambda: published, "the slow transaction to publish")
        second, third = keyed("a", 2)
        assert taken() == [second]
        late.set()
        thread.join()
        consume(second)
        assert taken() == published
        consume(published[0])
        assert taken() == [third]


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

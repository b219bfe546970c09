"""The consumer's SQL: G3, one effect."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import close_old_connections, connection, transaction
from django.db.models.functions import Now

from outbox import claims, consumption
from outbox.conf import conf
from outbox.models import Attempt, Message, Status
from outbox.store import store


@pytest.fixture
def sent(messages) -> UUID:
    """A message that was sent once."""
    ids = messages(1)
    claims.settle_sent(claims.claim(1), ids)
    return ids[0]


def test_a_message_is_consumed_once(sent: UUID) -> None:
    """The second delivery finds no row."""
    assert consumption.consume(sent, 1)
    assert not consumption.consume(sent, 1)
    row = Message.objects.get()
    assert row.consumed_at is not None
    assert row.locked_until is None


def test_the_mark_goes_with_the_effect(sent: UUID) -> None:
    """A rolled back effect takes its mark along: the message can be consumed again."""
    with pytest.raises(RuntimeError), transaction.atomic():
        assert consumption.consume(sent, 1)
        raise RuntimeError
    assert consumption.consume(sent, 1)


def test_of_two_at_the_same_time_one_wins(sent: UUID) -> None:
    """A duplicate waits for the first one's commit, and then does nothing."""
    results: list[bool] = []
    started = threading.Event()

    def duplicate() -> None:
        close_old_connections()
        started.set()
        results.append(consumption.consume(sent, 1))
        connection.close()

    with transaction.atomic():
        results.append(consumption.consume(sent, 1))
        thread = threading.Thread(target=duplicate)
        thread.start()
        started.wait(5)
    thread.join(10)
    assert sorted(results) == [False, True]


def test_it_may_be_consumed_before_the_relay_has_settled(messages) -> None:
    """A quick consumer marks its row Sent by itself; the relay's settle passes over it."""
    ids = messages(1)
    claim = claims.claim(1)
    assert consumption.consume(ids[0], 1)
    assert claims.settle_sent(claim, ids) == 0
    row = Message.objects.get()
    assert row.status == Status.SENT
    assert row.sent_at is not None


@pytest.mark.row_locks
def test_the_relay_never_waits_for_a_consumer(messages) -> None:
    """Settling skips rows that a consumer holds, however long its transaction takes."""
    slow, quick = ids = messages(2)
    claim = claims.claim(2)
    settled: list[int] = []

    def settle() -> None:
        close_old_connections()
        settled.append(claims.settle_sent(claim, ids))
        connection.close()

    with transaction.atomic():
        consumption.consume(slow, 1)
        thread = threading.Thread(target=settle)
        thread.start()
        thread.join(10)
        assert settled == [1]
    assert Message.objects.get(pk=quick).status == Status.SENT


@pytest.mark.parametrize("attempt", [0, 2, 99])
def test_a_delivery_of_another_attempt_does_nothing(sent: UUID, attempt: int) -> None:
    """Outdated and invented attempts are refused in every way of consuming."""
    assert not consumption.consume(sent, attempt)
    assert consumption.take_lease(sent, attempt, 60) is None
    assert not consumption.fail(sent, attempt, "no", 1.0)


def test_an_unknown_message_runs_nothing(transactional_db: None) -> None:
    """A forged or purged id finds no row."""
    assert not consumption.consume(uuid4(), 1)
    assert consumption.take_lease(uuid4(), 1, 60) is None


def test_a_failure_is_scheduled_once_however_many_copies_fail(sent: UUID) -> None:
    """The second copy of a failed delivery finds the row Pending, and leaves it."""
    assert consumption.fail(sent, 1, "first", 60.0, worker="w1")
    assert not consumption.fail(sent, 1, "second", 60.0, worker="w2")
    row = Message.objects.get()
    assert (row.status, row.last_error) == (Status.PENDING, "first")
    assert Attempt.objects.get().worker == "w1"


def test_a_failed_delivery_does_not_run_before_its_next_attempt(sent: UUID) -> None:
    """A late copy of the failed attempt cannot jump the backoff, nor take the place of the next attempt."""
    consumption.fail(sent, 1, "busy", 60.0)
    assert not consumption.consume(sent, 1)
    assert consumption.take_lease(sent, 1, 60) is None
    Message.objects.update(next_attempt_at=Now() - timedelta(seconds=1))
    claims.claim(1)
    assert not consumption.consume(sent, 1)
    assert consumption.consume(sent, 2)


def test_a_lease_is_for_one(sent: UUID) -> None:
    """While one consumer holds it, copies are refused; the holder marks the end."""
    lock = consumption.take_lease(sent, 1, 60)
    assert lock
    assert consumption.take_lease(sent, 1, 60) is None
    assert not consumption.consume(sent, 1)
    assert consumption.finish_lease(sent, lock)


def test_a_consumer_that_lost_its_lease_cannot_mark_the_end(sent: UUID) -> None:
    """A zombie's outcome is refused, whatever it is."""
    lock = consumption.take_lease(sent, 1, 60)
    assert lock
    Message.objects.update(locked_until=Now() - timedelta(seconds=1))
    claims.rescue(10)
    claims.claim(1)
    assert consumption.take_lease(sent, 2, 60)
    assert not consumption.finish_lease(sent, lock)
    assert not consumption.fail(sent, 1, "late", None, lock_id=lock)


def test_a_discarded_message_is_not_consumed(sent: UUID) -> None:
    """What was called off does not run, though copies may be on their way."""
    assert consumption.call_off(sent, "not wanted")
    assert not consumption.consume(sent, 1)
    assert Message.objects.get().discarded_at is not None


@pytest.mark.parametrize(
    ("consumer", "by", "ours"),
    [
        ("a.task", "a.task", True),
        ("a.task", "another", False),
        ("a.task", "outbox.distribute", False),
        ("", "outbox.distribute", True),
        ("", "its.type", True),
        ("", "another", False),
        ("a.task", "", True),
    ],
)
def test_a_row_is_consumed_by_the_task_that_it_is_addressed_to(
    sent: UUID, consumer: str, by: str, ours: bool
) -> None:
    """By no other, whatever the broker says. Outside of tasks the caller is trusted."""
    Message.objects.update(consumer=consumer, type="its.type")
    assert (consumption.current(sent, 1, by) is not None) == ours
    with transaction.atomic():
        assert (store().consume(sent, 1, by) is not None) == ours
        transaction.set_rollback(True)
    assert store().take_lease(sent, 1, 60, uuid4(), "w1", by) == ours


def test_a_message_that_kills_its_workers_is_tried_later_and_ends_as_failed(sent: UUID) -> None:
    """Each death is noted, whichever way it is consumed, and the attempt counts."""
    for number in range(1, conf().MAX_LOST_LEASES + 1):
        assert Message.objects.get().status == Status.SENT
        assert consumption.lose(sent, number, f"death {number}", worker="w1")
        assert not consumption.lose(sent, number, "told twice")
        Message.objects.filter(status=Status.PENDING).update(next_attempt_at=Now() - timedelta(seconds=1))
        claims.settle_sent(claims.claim(1), [sent])
    row = Message.objects.get()
    assert (row.status, row.last_error) == (Status.FAILED, f"death {conf().MAX_LOST_LEASES}")
    lost = Attempt.objects.filter(stage=Attempt.Stage.LOST)
    assert [attempt.number for attempt in lost] == list(range(1, conf().MAX_LOST_LEASES + 1))


def test_what_a_redrive_left_behind_does_not_count(sent: UUID) -> None:
    """A person begins the count of deaths anew."""
    Message.objects.update(redriven_after=4, attempts=5)
    for number in range(1, 5):
        Attempt.objects.create(message_id=sent, number=number, stage=Attempt.Stage.LOST, error="before")
    assert consumption.lose(sent, 5, "death")
    assert Message.objects.get().status == Status.PENDING

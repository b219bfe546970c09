"""The relay's SQL: claim, settle, release, rescue, each under its fence."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import close_old_connections, connection, transaction
from django.db.models.functions import Now

from outbox import claims, consumption
from outbox.claims import Failure
from outbox.conf import conf
from outbox.models import Attempt, Message, Status
from outbox.redrive import redrive


def expire_leases() -> None:
    """As if the leases had run out a second ago."""
    Message.objects.filter(locked_until__isnull=False).update(locked_until=Now() - timedelta(seconds=1))


def test_a_claim_is_visible_counted_and_leased(messages) -> None:
    """Claim → Processing, with a fencing value, a lease and one attempt more."""
    (id_,) = messages(1)
    claim = claims.claim(10)
    row = Message.objects.get()
    assert [m.id for m in claim.messages] == [id_]
    assert (row.status, row.attempts, row.lock_id) == (Status.PROCESSING, 1, claim.lock_id)
    assert row.locked_until is not None


def test_what_is_claimed_is_invisible_to_others(messages) -> None:
    """Also a row that was retried before."""
    messages(3, attempts=2, last_error="earlier")
    assert len(claims.claim(2).messages) == 2
    assert len(claims.claim(10).messages) == 1
    assert claims.claim(10).messages == []


def test_what_is_not_due_yet_is_left_alone(messages) -> None:
    """A message for later waits for its time, by the database's clock."""
    messages(1, next_attempt_at=Now() + timedelta(hours=1))
    assert claims.claim(10).messages == []


def test_priority_then_age_decide_the_order(messages) -> None:
    """0 goes before 9, and of equals the one that is due longer."""
    (late,) = messages(1, priority=9)
    (urgent,) = messages(1, priority=0)
    (older,) = messages(1, priority=5, next_attempt_at=Now() - timedelta(hours=1))
    (newer,) = messages(1, priority=5)
    order = [claims.claim(1).messages[0].id for _ in range(4)]
    assert order == [urgent, older, newer, late]


def test_sent_messages_wait_for_their_consumer(messages) -> None:
    """Processing → Sent, with the time by which it must be consumed."""
    ids = messages(2)
    claim = claims.claim(10)
    assert claims.settle_sent(claim, ids) == 2
    row = Message.objects.first()
    assert row is not None
    assert (row.status, row.lock_id) == (Status.SENT, None)
    assert row.sent_at is not None
    assert row.locked_until is not None
    assert timedelta(seconds=conf().RESEND_AFTER - 1) < row.locked_until - row.sent_at


def test_a_failure_is_retried_later_or_failed_with_its_error_kept(messages) -> None:
    """With a delay: Pending, later. Without: Failed. Either way the attempt's error is a row."""
    again, never = messages(2)
    claim = claims.claim(10)
    assert claims.settle_failed(claim, [Failure(again, "busy", 60.0), Failure(never, "bad", None)], "r1") == 2
    first, second = Message.objects.get(pk=again), Message.objects.get(pk=never)
    assert (first.status, first.last_error) == (Status.PENDING, "busy")
    assert first.next_attempt_at > first.occurred_at + timedelta(seconds=50)
    assert (second.status, second.last_error) == (Status.FAILED, "bad")
    assert set(Attempt.objects.values_list("message_id", "number", "stage", "error", "worker")) == {
        (again, 1, "send", "busy", "r1"),
        (never, 1, "send", "bad", "r1"),
    }


def test_a_release_refunds_the_attempt(messages) -> None:
    """A broker that is away is not the message's fault."""
    ids = messages(1)
    claim = claims.claim(10)
    assert claims.release(claim, ids) == 1
    row = Message.objects.get()
    assert (row.status, row.attempts) == (Status.PENDING, 0)


def test_the_old_holder_of_a_claim_changes_nothing_any_more(messages) -> None:
    """After a re-claim every write of the old holder is refused."""
    ids = messages(1)
    old = claims.claim(10)
    expire_leases()
    assert claims.rescue(10) == (1, 0)
    new = claims.claim(10)
    assert claims.settle_sent(old, ids) == 0
    assert claims.settle_failed(old, [Failure(ids[0], "late", None)], "r1") == 0
    assert claims.release(old, ids) == 0
    row = Message.objects.get()
    assert (row.status, row.lock_id) == (Status.PROCESSING, new.lock_id)
    assert not Attempt.objects.exists()


def test_a_dead_relays_rows_come_back_without_costing_an_attempt(messages) -> None:
    """An expired claim is Pending again and due at once."""
    messages(2)
    claims.claim(10)
    assert claims.rescue(10) == (0, 0)
    expire_leases()
    assert claims.rescue(10) == (2, 0)
    assert set(Message.objects.values_list("status", "attempts")) == {(Status.PENDING, 0)}


def test_what_nobody_consumed_is_sent_again_ever_more_rarely(messages) -> None:
    """A broker that was wiped costs time, not work; and a long queue is not flooded with copies."""
    ids = messages(1)
    waits = []
    for _ in range(3):
        claims.settle_sent(claims.claim(10), ids)
        row = Message.objects.get()
        assert row.locked_until
        assert row.sent_at
        waits.append(round((row.locked_until - row.sent_at).total_seconds()))
        expire_leases()
        assert claims.rescue(10) == (0, 1)
    first = round(conf().RESEND_AFTER)
    assert waits == [first, 2 * first, 4 * first]
    row = Message.objects.get()
    assert (row.attempts, row.resends) == (0, 3)


def test_sent_again_without_end_it_is_failed(messages, settings) -> None:
    """Nobody takes it, or it kills whole workers: a person should look, and finds why. A redrive begins anew."""
    settings.OUTBOX = {"MAX_RESENDS": 3}
    ids = messages(1)
    for _ in range(4):
        assert claims.settle_sent(claims.claim(10), ids) == 1
        expire_leases()
        assert claims.rescue(10) == (0, 1)
    row = Message.objects.get()
    assert row.status == Status.FAILED
    assert "never consumed" in row.last_error
    assert Attempt.objects.get().error == row.last_error
    assert redrive(ids) == 1
    claims.settle_sent(claims.claim(10), ids)
    expire_leases()
    claims.rescue(10)
    assert Message.objects.get().status == Status.PENDING


def test_resends_count_from_the_last_time_that_a_consumer_had_it(messages) -> None:
    """A message that is tried for months is not one that nobody takes."""
    ids = messages(1)
    claims.claim(10)
    Message.objects.update(resends=30)
    assert consumption.fail(ids[0], 1, "busy", 1.0)
    assert Message.objects.get().resends == 0


def test_a_consumed_row_is_never_rescued(messages) -> None:
    """Consumed is the end."""
    (id_,) = messages(1)
    claims.claim(10)
    assert consumption.consume(id_, 1)
    assert claims.rescue(10) == (0, 0)
    assert claims.claim(10).messages == []


def test_a_message_that_kills_its_consumers_ends_as_failed(messages) -> None:
    """Leases lost in the middle of the work are noted, and after so many the message waits for a person."""
    (id_,) = messages(1)
    for number in range(1, conf().MAX_LOST_LEASES + 1):
        (claimed,) = claims.claim(10).messages
        assert claimed.attempts == number
        assert consumption.take_lease(id_, number, 60)
        expire_leases()
        claims.rescue(10)
    row = Message.objects.get()
    assert row.status == Status.FAILED
    assert "lease ran out" in row.last_error
    assert Attempt.objects.filter(stage="lost").count() == conf().MAX_LOST_LEASES


def test_settling_an_unknown_row_is_harmless(messages) -> None:
    """A row that was purged meanwhile is nobody's problem."""
    messages(1)
    claim = claims.claim(10)
    assert claims.settle_sent(claim, [uuid4()]) == 0


def test_an_odd_row_does_not_stop_the_rescue_of_others(messages) -> None:
    """A row that a person made Sent by hand, with no attempt, is brought back like any other."""
    odd, usual = messages(2)
    claims.claim(10)
    Message.objects.filter(pk=odd).update(status="sent", attempts=0, lock_id=None, sent_at=Now())
    expire_leases()
    assert sum(claims.rescue(10)) == 2
    assert set(Message.objects.values_list("status", "attempts")) == {(Status.PENDING, 0)}
    assert {odd, usual} == {m.id for m in claims.claim(10).messages}


@pytest.mark.row_locks
def test_settling_a_failure_does_not_wait_for_a_consumer(messages) -> None:
    """A copy that arrived all the same holds its row: the relay passes over it."""
    (id_,) = messages(1)
    claim = claims.claim(1)
    settled: list[int] = []

    def settle() -> None:
        close_old_connections()
        settled.append(claims.settle_failed(claim, [Failure(id_, "no", 1.0)], "r1"))
        connection.close()

    with transaction.atomic():
        assert consumption.consume(id_, 1)
        thread = threading.Thread(target=settle)
        thread.start()
        thread.join(10)
        assert settled == [0]


def test_a_redrive_starts_a_fresh_set_of_attempts_and_keeps_old_deliveries_out(messages) -> None:
    """``attempts`` goes on counting, the policy starts over, and what was lost before no longer counts."""
    (id_,) = messages(1)
    for number in range(1, conf().MAX_LOST_LEASES + 1):
        claims.claim(1)
        consumption.take_lease(id_, number, 60)
        expire_leases()
        claims.rescue(10)
    assert redrive([id_]) == 1
    (claimed,) = claims.claim(1).messages
    assert (claimed.attempts, claimed.tries) == (conf().MAX_LOST_LEASES + 1, 1)
    assert not consumption.consume(id_, 1)
    consumption.take_lease(id_, claimed.attempts, 60)
    expire_leases()
    claims.rescue(10)
    assert Message.objects.get().status == Status.PENDING

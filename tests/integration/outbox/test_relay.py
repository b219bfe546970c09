"""The relay's round with a broker in memory: what happens to good, bad and unlucky messages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from outbox import claims
from outbox.exceptions import PermanentError
from outbox.models import Attempt, Message, Status
from outbox.publish import send_command
from outbox.relay.batch import Round
from outbox.relay.engine import Relay
from outbox.transports.memory import MemoryTransport
from tests.harness.statements import statements_of_all_threads


@pytest.fixture
def transport() -> MemoryTransport:
    """A broker in memory."""
    return MemoryTransport()


@pytest.fixture
def relay(transport: MemoryTransport) -> Relay:
    """A relay that sends there."""
    return Relay(transport, name="r1")


def make_due() -> None:
    """As if every wait were over."""
    Message.objects.filter(status=Status.PENDING).update(next_attempt_at=Now() - timedelta(seconds=1))


def test_a_round_claims_sends_and_settles(messages, relay: Relay, transport: MemoryTransport) -> None:
    """Due messages are with the broker and Sent."""
    ids = messages(3)
    assert relay.run_once() == Round(claimed=3, sent=3)
    assert sorted(m.id for m in transport.sent) == sorted(ids)
    assert relay.run_once() == Round()


@pytest.mark.postgresql
def test_rows_are_processing_and_unlocked_while_they_are_sent(messages, relay: Relay) -> None:
    """Claim → send → mark, in that order, and no row lock is held while something is sent."""
    messages(1)
    seen: list[str] = []

    def look(_: claims.Claimed) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT status FROM outbox_message FOR UPDATE NOWAIT")
            seen.append(cursor.fetchone()[0])
        connection.close()  # of the thread that sends

    relay.transport = MemoryTransport(refuse=look)
    relay.run_once()
    assert seen == ["processing"]


def test_a_bad_message_harms_no_other(messages, relay: Relay) -> None:
    """An error of one message is that message's alone; the rest of the batch is sent."""
    ids = messages(5)
    relay.transport = MemoryTransport(refuse=lambda m: ValueError("bad") if m.id == ids[2] else None)
    assert relay.run_once() == Round(claimed=5, sent=4, failed=1)
    row = Message.objects.get(pk=ids[2])
    assert (row.status, row.last_error) == (Status.PENDING, "ValueError: bad")


@pytest.mark.postgresql
def test_failing_again_and_again_ends_as_failed_with_every_error_kept(
    messages, relay: Relay, settings
) -> None:
    """Attempts grow, the next one is later each time, and the last leaves the row Failed for a person."""
    settings.OUTBOX = {"MAX_ATTEMPTS": 4}
    messages(1)
    relay.transport = MemoryTransport(refuse=lambda m: ValueError(f"no {m.attempts}"))
    waits = []
    for _ in range(4):
        relay.run_once()
        row = Message.objects.get()
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM next_attempt_at - now()) FROM outbox_message")
            waits.append(float(cursor.fetchone()[0]))
        make_due()
    assert (row.status, row.attempts) == (Status.FAILED, 4)
    assert waits[0] < waits[1] < waits[2]
    assert [a.error for a in Attempt.objects.all()] == [f"ValueError: no {n}" for n in (1, 2, 3, 4)]


def test_a_permanent_error_is_failed_at_the_first_attempt(messages, relay: Relay) -> None:
    """What cannot get better is not tried again."""
    messages(1)
    relay.transport = MemoryTransport(refuse=lambda _: PermanentError("never"))
    relay.run_once()
    row = Message.objects.get()
    assert (row.status, row.attempts) == (Status.FAILED, 1)


def test_a_broker_that_is_away_costs_no_attempts(
    messages, relay: Relay, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claims are given back, nothing is claimed during the pause, and sending resumes by itself."""
    messages(3)
    transport.available = False
    clock = [0.0]
    monkeypatch.setattr(relay.breaker, "clock", lambda: clock[0])
    assert relay.run_once() == Round(claimed=3, released=3)
    assert relay.run_once() == Round()
    assert set(Message.objects.values_list("status", "attempts")) == {(Status.PENDING, 0)}
    transport.available = True
    clock[0] += relay.breaker.remaining
    assert relay.run_once() == Round(claimed=3, sent=3)


def test_a_drain_goes_on_until_nothing_is_due(messages, relay: Relay, settings) -> None:
    """More rows than a batch holds are several rounds."""
    settings.OUTBOX = {"BATCH_SIZE": 10}
    messages(35)
    assert relay.drain() == Round(claimed=35, sent=35)


def test_a_lower_id_that_commits_later_is_still_sent(
    messages, relay: Relay, transport: MemoryTransport
) -> None:
    """Claims go by state, not by the last id seen."""
    (first,) = messages(1)
    Message.objects.update(next_attempt_at=Now() + timedelta(hours=1))
    messages(2)
    relay.run_once()
    make_due()
    relay.run_once()
    assert transport.sent[-1].id == first


@pytest.mark.postgresql
def test_statements_per_thousand_messages(messages, relay: Relay, settings) -> None:
    """A thousand messages cost a handful of statements, whatever the machine."""
    settings.OUTBOX = {"BATCH_SIZE": 500}
    messages(1000)
    with statements_of_all_threads() as statements:
        assert relay.drain().sent == 1000
    assert len(statements) <= 12


def test_a_priority_reaches_the_broker(
    transactional_db: None, relay: Relay, transport: MemoryTransport
) -> None:
    """The column travels with the message."""
    with transaction.atomic():
        send_command("sample.add", {"a": 1})
        Message.objects.update(priority=1)
    relay.run_once()
    assert transport.sent[0].priority == 1


def test_a_busy_relay_still_comes_round_to_rescuing(messages, relay: Relay, monkeypatch, settings) -> None:
    """A turn ends when the next rescue is due, however much is left to send."""
    messages(60)
    now = [0.0]

    def tick() -> float:
        now[0] += 0.3
        return now[0]

    monkeypatch.setattr("outbox.relay.engine.time.monotonic", tick)
    settings.OUTBOX = {**settings.OUTBOX, "BATCH_SIZE": 1, "RESCUE_INTERVAL": 5.0}
    done = relay.turn()
    assert 0 < done.sent < 60


def test_a_round_that_fails_in_the_middle_gives_its_claim_back(messages, relay: Relay, monkeypatch) -> None:
    """Whatever a transport raises, the rows do not wait for the lease to end."""
    messages(3)
    monkeypatch.setattr(relay.transport, "send", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        relay.run_once()
    assert set(Message.objects.values_list("status", "attempts")) == {(Status.PENDING, 0)}

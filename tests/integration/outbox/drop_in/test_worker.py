"""What a durable task promises beyond plain Celery, with a real worker and a broker that loses everything."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
from celery import chord
from celery.exceptions import TaskRevokedError
from django.db import transaction
from django.db.models.functions import Now
from redis import Redis

from outbox.models import Attempt, Message, Status
from outbox.relay.engine import Relay
from tests.harness.waiting import wait_until
from tests.integration.outbox.drop_in import work
from tests.integration.outbox.drop_in.applications import durable
from tests.integration.outbox.drop_in.conftest import Tasks

pytestmark = pytest.mark.django_db(transaction=True)
t = Tasks(durable)


def test_a_chords_body_survives_the_broker(settle: Callable[..., Any], relay: Relay) -> None:
    """It is a row as soon as the last task of the header is done: a broker that loses everything costs nothing."""
    result = chord([t.add.s(1, 1), t.add.s(2, 2)], t.xsum.s()).apply_async()
    relay.turn()
    wait_until(lambda: Message.objects.filter(type="work.xsum").exists(), "the body's row")
    Redis.from_url(os.environ["BROKER_URL"]).flushall()
    assert settle(result) == '["id-0", "SUCCESS", 6]'
    assert Message.objects.filter(consumed_at=None).count() == 0


def test_a_hard_time_limit_is_an_outcome(settle: Callable[..., Any]) -> None:
    """The message is Failed, and not sent again when its lease ends."""
    result = t.hard_limit.delay()
    assert "TimeLimitExceeded" in settle(result)
    row = wait_until(lambda: Message.objects.filter(status=Status.FAILED).first(), "the row to be Failed")
    assert row.last_error.startswith("TimeLimitExceeded")


def test_a_hard_time_limit_is_an_outcome_of_a_transaction_too(
    settle: Callable[..., Any], relay: Relay
) -> None:
    """The main process does not wait for the row that its child holds: it kills the child, and then writes."""
    t.hard_limit_in_a_transaction.delay()
    relay.turn()
    row = wait_until(
        lambda: Message.objects.filter(status=Status.FAILED).first(), "the row to be Failed", timeout=10
    )
    assert row.last_error.startswith("TimeLimitExceeded")
    assert "SUCCESS" in settle(t.add.delay(1))


def test_retry_is_seen_as_a_retry_of_the_same_task(settle: Callable[..., Any]) -> None:
    """What Flower listens to: received, retried, received, succeeded, all with one id."""
    events: list[tuple[str, str]] = []
    own: set[str] = set()  # an event of an earlier test's task may come late

    def note(event: dict[str, Any]) -> None:
        events.append((event["type"], event.get("uuid", "")))
        if event["type"] == "task-succeeded" and event["uuid"] in own:
            receiver.should_stop = True

    listening = Event()
    with durable.connection_for_read() as connection:
        receiver = durable.events.Receiver(connection, handlers={"*": note}, app=durable)
        receiver.on_consume_ready = lambda *_, **__: listening.set()
        hearing = Thread(target=receiver.capture, kwargs={"limit": None, "timeout": 20, "wakeup": False})
        hearing.start()
        assert listening.wait(20)
        result = t.retry_once.delay(1)
        own.add(result.id)
        settle(result)
        hearing.join(20)
    kinds = [kind for kind, id_ in events if id_ == result.id]
    assert kinds == [
        "task-received",
        "task-started",
        "task-retried",
        "task-received",
        "task-started",
        "task-succeeded",
    ]


def test_a_foreign_message_runs_where_it_is_accepted(settle: Callable[..., Any]) -> None:
    """Sent by another producer, or before the project moved."""
    assert "SUCCESS" in settle(t.foreign.apply_async((5,), durable=False))


def test_a_task_that_opted_out_is_plain_celery(settle: Callable[..., Any]) -> None:
    """No row, and it runs."""
    assert "SUCCESS" in settle(t.opted_out.delay(5))
    assert not Message.objects.exists()


def test_a_foreign_message_runs_nowhere_else(settle: Callable[..., Any]) -> None:
    """No row, no work: the same message, to a task that does not accept it."""
    work.forget(durable)
    durable.send_task("work.note", ("forged",), task_type=object())
    settle(t.note.delay("ours"), notes=1)
    assert work.seen(durable) == ["ours"]


def test_revoked_before_it_was_sent(relay: Relay) -> None:
    """The row is cancelled, the result says so, and the broker is not needed."""
    result = t.note.apply_async(("x",), countdown=1)
    result.revoke()
    row = Message.objects.get()
    assert (row.status, row.last_error) == (Status.FAILED, "Revoked.")
    assert row.discarded_at is not None
    assert result.state == "REVOKED"
    with pytest.raises(TaskRevokedError):
        result.get(timeout=5)


def test_revoked_while_on_its_way(workers: Any, relay: Relay) -> None:
    """A copy that is with the broker already does nothing."""
    work.forget(durable)
    held = t.note.apply_async(("revoked",), queue="nobody")
    relay.turn()
    assert Message.objects.get().status == Status.SENT
    durable.control.revoke(held.id)
    redis = Redis.from_url(os.environ["BROKER_URL"])
    for key in redis.keys("nobody*"):
        redis.rename(key, key.replace(b"nobody", b"durable", 1))
    last = t.note.apply_async(("later",))
    wait_until(lambda: (relay.turn(), last.ready())[1], "the task behind it")
    assert work.seen(durable) == ["later"]


def test_a_revocation_is_part_of_the_transaction() -> None:
    """Rolled back, it was never said."""
    result = t.add.delay(1)
    with pytest.raises(RuntimeError), transaction.atomic():
        durable.control.revoke([result.id])
        raise RuntimeError
    assert Message.objects.get().status == Status.PENDING
    assert result.state == "PENDING"


def test_a_chord_of_which_a_task_is_revoked_fails(settle: Callable[..., Any]) -> None:
    """As in plain Celery; it does not wait for ever."""
    result = chord([t.add.s(1, 1), t.add.s(2, 2).set(countdown=600)], t.xsum.s()).apply_async()
    late = Message.objects.get(next_attempt_at__gt=Now() + timedelta(seconds=300))
    durable.control.revoke(str(late.id))
    assert "ChordError" in settle(result)


def test_what_expired_in_the_outbox_is_not_sent(relay: Relay) -> None:
    """It is closed where people see it, by the database's clock, and its result is REVOKED."""
    result = t.note.apply_async(("x",), expires=datetime.now(UTC) - timedelta(seconds=1))
    alive = t.note.apply_async(("y",), expires=600, queue="nobody")
    relay.turn()
    row, other = Message.objects.get(pk=result.id), Message.objects.get(pk=alive.id)
    assert (row.status, row.last_error) == (Status.FAILED, "Expired before it was sent.")
    assert (row.sent_at, other.status) == (None, Status.SENT)
    assert row.discarded_at is not None
    assert result.state == "REVOKED"


def test_a_worker_that_dies_in_a_transaction_is_noted(workers: Any, relay: Relay) -> None:
    """The message may be what kills it: the attempt counts, and it is tried again later."""
    t.dies.delay()
    relay.turn()
    attempt = wait_until(Attempt.objects.first, "the death to be noted")
    assert (attempt.stage, attempt.number) == (Attempt.Stage.LOST, 1)
    assert "WorkerLostError" in attempt.error
    assert Message.objects.get().status == Status.PENDING

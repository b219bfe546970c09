"""Messages for later, and what their caller can do about them until they are sent."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from celery import current_app
from django.db import connection, transaction

from outbox import claims
from outbox.api import Message, Status, cancel_scheduled, publish, send_command
from outbox.transports.envelope import render
from tests.harness.concurrent import in_background, wait_until_blocked
from tests.integration.outbox.sample import Moved, ThingHappened, add

pytestmark = pytest.mark.django_db(transaction=True)

LATER = datetime(2031, 5, 1, 12, tzinfo=UTC)


def send(n: int, **options: object) -> UUID:
    """A command under the name "reminder", committed."""
    with transaction.atomic():
        return send_command("sample.add", {"a": n}, **{"schedule_key": "reminder", **options})  # type: ignore[arg-type]


def payloads() -> list[object]:
    """Of all rows."""
    return [row.payload["a"] for row in Message.objects.order_by("occurred_at", "id")]


@pytest.fixture(params=[True, False], ids=["own SQL", "models"])
def own_sql(request: pytest.FixtureRequest, monkeypatch) -> bool:
    """Both ways to write rows."""
    monkeypatch.setattr("outbox.inserting._has_own_sql", lambda: request.param)
    return bool(request.param)


def test_an_event_can_be_published_for_a_time() -> None:
    """An absolute time with a zone, as it is."""
    with transaction.atomic():
        publish(Moved(1, "a"), at=LATER)
    assert Message.objects.get().next_attempt_at == LATER
    assert claims.claim(10).messages == []


@pytest.mark.parametrize("delay", [3600, timedelta(hours=1)])
def test_an_application_clock_an_hour_off_changes_nothing(delay: float | timedelta, monkeypatch) -> None:
    """A delay is counted by the database."""
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("outbox.rows.timezone.now", lambda: datetime(1990, 1, 1, tzinfo=UTC))
    with transaction.atomic():
        publish(Moved(1, "a"), delay=delay)
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM next_attempt_at - now()) FROM outbox_message")
        assert 3590 < cursor.fetchone()[0] <= 3600


def test_a_time_without_a_zone_is_refused() -> None:
    """Which moment it means would depend on who reads it."""
    with transaction.atomic(), pytest.raises(ValueError, match="no time zone"):
        publish(Moved(1, "a"), at=datetime(2031, 5, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"at": LATER, "delay": 5}, "either at= or delay="),
        ({"schedule_key": ""}, "must not be empty"),
        ({"schedule_key": "x" * 201}, "at most 200"),
        ({"key": "x" * 201}, "at most 200"),
        ({"coalesce": True}, "needs a schedule_key"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, object], problem: str) -> None:
    """With what to do instead, and before anything is written."""
    with transaction.atomic(), pytest.raises(ValueError, match=problem):
        publish(Moved(1, "a"), **options)  # type: ignore[arg-type]
    assert not Message.objects.exists()


def test_publishing_again_replaces_what_waits(own_sql: bool) -> None:
    """Payload and time of the one that waits; it keeps its id."""
    first = send(1, delay=60)
    assert send(2, at=LATER, key="k", priority=1) == first
    row = Message.objects.get()
    assert (row.id, row.payload, row.next_attempt_at) == (first, {"a": 2}, LATER)
    assert (row.key, row.priority, row.schedule_key) == ("k", 1, "reminder")


def test_a_stream_of_changes_is_coalesced_without_being_put_off(own_sql: bool) -> None:
    """The latest payload, at the earlier of the two times."""
    send(1, at=LATER, coalesce=True)
    send(2, at=LATER + timedelta(hours=1), coalesce=True)
    row = Message.objects.get()
    assert (row.payload, row.next_attempt_at) == ({"a": 2}, LATER)
    send(3, at=LATER - timedelta(hours=1), coalesce=True)
    row = Message.objects.get()
    assert (row.payload, row.next_attempt_at) == ({"a": 3}, LATER - timedelta(hours=1))


def test_other_names_and_other_consumers_are_left_alone() -> None:
    """A name is the consumer's and the caller's."""
    send(1, delay=60)
    send(2, delay=60, schedule_key="another")
    with transaction.atomic():
        publish(ThingHappened(UUID(int=1), Decimal(1), LATER), delay=60, schedule_key="reminder")
        publish(ThingHappened(UUID(int=2), Decimal(2), LATER), delay=60, schedule_key="reminder")
    assert Message.objects.count() == 4


def test_a_rollback_takes_the_replacement_back() -> None:
    """What waited waits on, unchanged."""
    send(1, delay=60)
    with pytest.raises(RuntimeError), transaction.atomic():
        send(2, delay=5)
        raise RuntimeError
    assert payloads() == [1]


def test_what_was_sent_is_not_replaced(own_sql: bool) -> None:
    """From the claim on the name is free: a new row."""
    send(1)
    (claimed,) = claims.claim(1).messages
    send(2)
    assert payloads() == [1, 2]
    assert Message.objects.get(pk=claimed.id).schedule_key is None


def test_a_claim_at_the_same_time_wins_over_a_replacement() -> None:
    """The replacement waits for the claim's end, and becomes a new row: nothing is lost, nothing changes in flight."""
    send(1)
    with transaction.atomic():
        (claimed,) = claims.claim(1).messages
        replacing = in_background(lambda: send(2))
        wait_until_blocked()
    assert replacing.result(10) != claimed.id
    assert payloads() == [1, 2]
    assert [row.status for row in Message.objects.order_by("id")] == [Status.PROCESSING, Status.PENDING]


def test_a_replacement_that_is_not_committed_is_not_claimed() -> None:
    """The claim passes the row by: afterwards it sends the new payload."""
    send(1)
    with transaction.atomic():
        send(2)
        assert in_background(lambda: claims.claim(1).messages).result(10) == []
    assert [message.payload for message in claims.claim(1).messages] == ['{"a": 2}']


def test_two_replacers_at_the_same_time_leave_one_row() -> None:
    """The second waits for the first, and is the latest."""
    with transaction.atomic():
        send(1, delay=60)
        second = in_background(lambda: send(2, delay=60))
        wait_until_blocked()
    second.result(10)
    assert payloads() == [2]


def test_cancelled_before_it_is_sent() -> None:
    """It is closed, with the reason, and its name is free."""
    send(1, delay=60)
    assert cancel_scheduled("sample.add", "reminder") == 1
    row = Message.objects.get()
    assert (row.status, row.last_error, row.schedule_key) == (
        Status.FAILED,
        "Cancelled before it was sent.",
        None,
    )
    assert row.discarded_at is not None
    assert cancel_scheduled("sample.add", "reminder") == 0
    send(2, delay=60)
    assert payloads() == [1, 2]


@pytest.mark.parametrize("what", [ThingHappened, "sample.thing_happened"])
def test_an_event_is_cancelled_for_all_its_subscribers(what: type | str) -> None:
    """By its class or its name."""
    with transaction.atomic():
        publish(ThingHappened(UUID(int=1), Decimal(1), LATER), delay=60, schedule_key="reminder")
    assert cancel_scheduled(what, "reminder") == 2
    assert set(Message.objects.values_list("status", flat=True)) == {Status.FAILED}


def test_what_is_claimed_cannot_be_cancelled() -> None:
    """Cancelling waits for the claim's end, and says that there was nothing left to cancel."""
    send(1)
    with transaction.atomic():
        assert len(claims.claim(1).messages) == 1
        cancelling = in_background(lambda: cancel_scheduled("sample.add", "reminder"))
        wait_until_blocked()
    assert cancelling.result(10) == 0
    assert Message.objects.get().status == Status.PROCESSING


def test_what_is_being_cancelled_is_not_claimed() -> None:
    """The claim passes it by; a rollback of the cancellation leaves it to the next claim."""
    send(1)
    with pytest.raises(RuntimeError), transaction.atomic():
        assert cancel_scheduled("sample.add", "reminder") == 1
        assert in_background(lambda: claims.claim(1).messages).result(10) == []
        raise RuntimeError
    assert len(claims.claim(1).messages) == 1


def test_cancelling_the_head_of_a_key_lets_the_next_one_go() -> None:
    """Whoever waited for it waits no more."""
    head = send(1, key="k")
    with transaction.atomic():
        after = send_command("sample.add", {"a": 2}, key="k")
    Message.objects.filter(pk=after).update(waits_for=head)
    cancel_scheduled("sample.add", "reminder")
    assert [message.id for message in claims.claim(10).messages] == [after]


def test_a_task_can_be_replaced_by_name() -> None:
    """``apply_async(schedule_key=…)``: one row, one id, the latest arguments."""
    first = add.apply_async((1,), countdown=60, schedule_key="sum")
    second = add.apply_async((2,), countdown=0, schedule_key="sum")
    assert first.id == second.id == str(Message.objects.get().id)
    (claimed,) = claims.claim(1).messages
    envelope = render(current_app._get_current_object(), claimed)
    assert envelope.options["headers"]["id"] == first.id
    assert "[2]" in str(envelope.body)


def test_a_task_can_be_ordered_coalesced_and_cancelled() -> None:
    """The row's own options, beside Celery's."""
    add.apply_async((1,), eta=LATER, schedule_key="sum", coalesce=True)
    add.apply_async((2,), eta=LATER + timedelta(days=1), schedule_key="sum", coalesce=True, key="k")
    row = Message.objects.get()
    assert (row.payload["args"], row.next_attempt_at, row.key) == ([2], LATER, "k")
    assert cancel_scheduled("sample.add", "sum") == 1


def test_replacing_and_claiming_at_full_speed_loses_nothing() -> None:
    """Whoever wins each time: what is sent only ever gets newer, and the latest is sent."""
    done = threading.Event()

    def claim_all() -> list[str]:
        sent: list[str] = []
        while not done.is_set():
            sent += [message.payload for message in claims.claim(5).messages]
        return sent

    claiming = in_background(claim_all)
    for n in range(150):
        send(n)
    done.set()
    sent = claiming.result(10) + [message.payload for message in claims.claim(5).messages]
    numbers = [json.loads(payload)["a"] for payload in sent]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 149
    assert Message.objects.count() == len(numbers)

"""G1: a change and its messages are committed together, or neither."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox.api import (
    InvalidEvent,
    Message,
    NoSubscriber,
    PublishOutsideTransaction,
    Status,
    publish,
    publish_all,
    send_command,
    working_on,
)
from outbox.exceptions import OutboxError
from outbox.inserting import COPY_FROM, ROWS_PER_STATEMENT
from outbox.testing import drain
from tests.integration.outbox.sample import Measured, Moved, NobodyCares, Optional, ThingHappened

THING = ThingHappened(uuid4(), Decimal("1.50"), datetime(2026, 1, 1, tzinfo=UTC))
pytestmark = pytest.mark.django_db(transaction=True)


def test_publishing_outside_a_transaction_is_an_error() -> None:
    """Without a transaction the change and its messages could part ways: nothing is written."""
    with pytest.raises(PublishOutsideTransaction, match=r"transaction\.atomic"):
        publish(THING)
    with pytest.raises(PublishOutsideTransaction):
        send_command("sample.add", {"a": 1})
    assert not Message.objects.exists()


def test_a_rollback_leaves_no_row() -> None:
    """Messages of a transaction that fails never existed."""
    with pytest.raises(RuntimeError), transaction.atomic():
        publish(THING)
        raise RuntimeError
    assert not Message.objects.exists()


def test_every_subscriber_has_its_own_row_in_one_insert() -> None:
    """Two subscribers are two messages, written by one statement."""
    with (
        transaction.atomic(),
        CaptureQueriesContext(
            connection,
        ) as queries,
    ):
        publish(THING)
    assert len([q for q in queries if q["sql"].startswith("INSERT")]) == 1
    rows = Message.objects.order_by("consumer")
    assert [row.consumer for row in rows] == ["tests.first_subscriber", "tests.second_subscriber"]
    assert {row.status for row in rows} == {Status.PENDING}
    assert rows[0].payload == json.loads(
        json.dumps(
            asdict(THING),
            default=lambda v: v.isoformat().replace("+00:00", "Z") if isinstance(v, datetime) else str(v),
        )
    )


def test_an_event_without_subscribers_is_an_error_unless_declared_optional() -> None:
    """A forgotten subscriber is found at once; an event may be declared to do without."""
    with transaction.atomic():
        with pytest.raises(NoSubscriber, match=r"sample\.nobody_cares"):
            publish(NobodyCares(1))
        assert publish(Optional(1)) == []


def test_a_field_of_the_wrong_type_is_refused_when_written() -> None:
    """The schema is checked where the mistake is made, not in some consumer later."""
    with transaction.atomic(), pytest.raises(InvalidEvent, match="thing_id"):
        publish(ThingHappened("no uuid", Decimal(1), datetime.now(UTC)))  # type: ignore[arg-type]
    with transaction.atomic(), pytest.raises(InvalidEvent) as refused:
        publish(ThingHappened("no uuid", None, datetime.now(UTC)))  # type: ignore[arg-type]
    assert "thing_id must be UUID, not str; amount must be Decimal, not NoneType." in str(refused.value)
    assert "no uuid" not in str(refused.value), "a value may be personal"
    assert "ydantic" not in str(refused.value)
    assert not Message.objects.exists()


def test_an_object_that_is_no_event_is_refused() -> None:
    """Only declared events can be published."""
    with transaction.atomic(), pytest.raises(OutboxError, match="decorate the class"):
        publish(object())


def test_messages_carry_the_context_they_were_published_in() -> None:
    """Correlation, causation and trace travel with every message."""
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    with working_on(correlation_id="order-1", causation_id="m-0", traceparent=trace), transaction.atomic():
        publish(THING)
    row = Message.objects.first()
    assert row is not None
    assert row.correlation_id == "order-1"
    assert row.headers == {"causation_id": "m-0", "traceparent": trace, "version": 1}


def test_a_delay_is_counted_by_the_databases_clock() -> None:
    """A message for later is due that much after the database's now."""
    with transaction.atomic():
        send_command("sample.add", {"a": 1}, delay=3600)
    with connection.cursor() as cursor:
        cursor.execute("SELECT next_attempt_at - occurred_at FROM outbox_message")
        (wait,) = cursor.fetchone()
    assert 3599 < wait.total_seconds() < 3601


def test_a_row_can_be_inserted_by_hand_with_a_type_and_a_payload() -> None:
    """All other columns have defaults in the database."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO outbox_message (type, payload) VALUES ('sample.thing_happened', '{}')")
    row = Message.objects.get()
    assert isinstance(row.id, UUID)
    assert (row.status, row.attempts, row.headers) == (Status.PENDING, 0, {})
    assert row.next_attempt_at == row.occurred_at


@pytest.mark.parametrize(
    "columns",
    [
        "status = 'lost'",
        "status = 'processing'",
        "status = 'sent'",
        "status = 'sent', sent_at = now()",
        "consumed_at = now()",
        "discarded_at = now()",
        "lock_id = gen_random_uuid()",
        "priority = 10",
    ],
)
def test_the_database_refuses_rows_that_contradict_themselves(messages, columns: str) -> None:
    """A row that is not finished has a due time, a lease or a person waiting: constraints hold it."""
    messages(1)
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute(f"UPDATE outbox_message SET {columns}")


def test_the_key_of_an_event_is_the_field_that_it_is_ordered_by() -> None:
    """Opt-in per type: the field's value, and what a Failed message does to the others of its key."""
    with transaction.atomic():
        publish(Moved(7, "a"))
        publish(Moved(7, "b"), key="another")
        publish(THING)
    keys = Message.objects.order_by("occurred_at", "id").values_list("key", "blocks_key")
    assert list(keys) == [("7", False), ("another", False), ("", True), ("", True)]


def test_messages_of_one_transaction_are_in_the_order_of_publishing() -> None:
    """By time of the statement, then by id: the order of a key."""
    with transaction.atomic():
        publish(Moved(7, "0"))
        publish_all(Moved(7, str(n)) for n in range(1, 2 * COPY_FROM))
        publish(Moved(7, str(2 * COPY_FROM)))
    places = [row.payload["place"] for row in Message.objects.order_by("occurred_at", "id")]
    assert places == [str(n) for n in range(2 * COPY_FROM + 1)]


@pytest.mark.parametrize("count", [COPY_FROM - 1, COPY_FROM, ROWS_PER_STATEMENT + 1])
def test_many_events_are_written_with_a_statement_per_thousand_rows(count: int) -> None:
    """Whatever way they are written: the same rows as one by one."""
    names = [f"plåce \t\\N\n'{n}" for n in range(count)]
    with working_on(correlation_id="order-1"), transaction.atomic():
        assert publish_all(Moved(n, name) for n, name in enumerate(names)) == count
    rows = list(Message.objects.order_by("id"))
    assert [row.payload for row in rows] == [{"thing": n, "place": name} for n, name in enumerate(names)]
    assert {(r.type, r.consumer, r.correlation_id, r.blocks_key) for r in rows} == {
        ("sample.moved", "tests.follow", "order-1", False)
    }
    assert {(r.schedule_key, r.status, r.attempts) for r in rows} == {(None, Status.PENDING, 0)}
    assert {r.headers["version"] for r in rows} == {1}
    assert all(r.next_attempt_at == r.occurred_at for r in rows)
    assert len({r.occurred_at for r in rows}) == -(-count // ROWS_PER_STATEMENT)


def test_of_many_events_a_bad_one_refuses_all() -> None:
    """In one transaction there is no half of a bulk."""
    with pytest.raises(InvalidEvent), transaction.atomic():
        publish_all([*(Moved(n, "x") for n in range(5)), Moved("seven", "x")])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NUL character"), transaction.atomic():
        publish_all(Moved(n, "\x00") for n in range(COPY_FROM))
    assert not Message.objects.exists()


def test_publishing_one_event_is_one_statement() -> None:
    """Nothing but the INSERT is added to the transaction."""
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        publish(THING)
    assert len(queries) == 1


def test_a_value_that_its_consumers_could_not_read_is_refused() -> None:
    """Infinity has no JSON: it would come back as null."""
    with transaction.atomic(), pytest.raises(InvalidEvent, match=r"sample\.measured"):
        publish(Measured(float("inf")))


def test_a_command_must_be_json() -> None:
    """NaN and objects are refused where they are given."""
    with transaction.atomic():
        with pytest.raises(ValueError, match="JSON"):
            send_command("sample.add", {"a": float("nan")})
        with pytest.raises(TypeError, match="JSON"):
            send_command("sample.add", {"a": object()})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"correlation_id": "x" * 65}, "at most 64"),
        ({"queue": "x" * 101}, "at most 100"),
        ({"priority": 10}, "0 .first. to 9"),
    ],
)
def test_what_no_row_can_hold_is_refused_before_it_is_written(
    options: dict[str, object], problem: str
) -> None:
    """A refused statement would spoil the caller's transaction; this does not."""
    with transaction.atomic():
        with pytest.raises(ValueError, match=problem):
            send_command("sample.add", {"a": 1}, **options)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="NUL"):
            send_command("sample.add", {"a": "\x00"})
        send_command("sample.add", {"a": r"\u0000 \\u0000", "b": "届け"})
    assert Message.objects.get().payload == {"a": r"\u0000 \\u0000", "b": "届け"}


@pytest.mark.parametrize("own_sql", [True, False])
def test_databases_without_our_sql_get_the_same_rows_from_django(own_sql: bool, monkeypatch) -> None:
    """One function writes them all; PostgreSQL's own SQL is a matter of speed."""
    monkeypatch.setattr("outbox.inserting._has_own_sql", lambda: own_sql)
    with working_on(correlation_id="o"), transaction.atomic():
        send_command("sample.add", {"a": 1}, key="k", blocks_key=False, queue="q", priority=1, delay=60)
    row = Message.objects.get()
    assert (row.payload, row.headers, row.key, row.blocks_key) == ({"a": 1}, {}, "k", False)
    assert (row.queue, row.priority, row.correlation_id, row.schedule_key) == ("q", 1, "o", None)
    assert 59 < (row.next_attempt_at - row.occurred_at).total_seconds() < 61


def test_the_copies_of_a_row_for_every_subscriber_keep_its_order() -> None:
    """A row by hand, without a consumer: each subscriber's copy has its key, and what it does to the key."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_message (type, payload, key, blocks_key) "
            """VALUES ('sample.moved', '{"thing": 1, "place": "a"}', '1', false)"""
        )
    drain()
    copy = Message.objects.get(consumer="tests.follow")
    assert (copy.key, copy.blocks_key, copy.status) == ("1", False, Status.SENT)

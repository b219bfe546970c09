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
    Message,
    NoSubscriber,
    PublishOutsideTransaction,
    Status,
    publish,
    send_command,
    working_on,
)
from outbox.exceptions import OutboxError
from tests.integration.outbox.sample import NobodyCares, Optional, ThingHappened

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
    with transaction.atomic(), pytest.raises(Exception, match="thing_id"):
        publish(ThingHappened("no uuid", Decimal(1), datetime.now(UTC)))  # type: ignore[arg-type]
    assert not Message.objects.exists()


def test_an_object_that_is_no_event_is_refused() -> None:
    """Only declared events can be published."""
    with transaction.atomic(), pytest.raises(OutboxError, match="decorate the class"):
        publish(object())


def test_messages_carry_the_context_they_were_published_in() -> None:
    """Correlation, causation and trace travel with every message."""
    with working_on(correlation_id="order-1", causation_id="m-0", traceparent="00-abc"), transaction.atomic():
        publish(THING)
    row = Message.objects.first()
    assert row is not None
    assert row.correlation_id == "order-1"
    assert row.headers == {"causation_id": "m-0", "traceparent": "00-abc", "version": 1}


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

"""Ordinary Celery code becomes rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from celery import chain, group
from django.db import connection, transaction
from redis import Redis

from outbox.models import Message, Status
from tests.integration.outbox.sample import add, undurable

pytestmark = pytest.mark.django_db(transaction=True)


def test_delay_writes_a_row_and_touches_no_broker(broker: Redis) -> None:
    """The result has the row's id; the broker hears nothing yet."""
    result = add.delay(1, b=2)
    row = Message.objects.get()
    assert row.id == UUID(result.id)
    assert (row.type, row.consumer, row.status, row.queue) == (
        "sample.add",
        "sample.add",
        Status.PENDING,
        "default",
    )
    assert (row.payload["args"], row.payload["kwargs"]) == ([1], {"b": 2})
    assert broker.keys("*") == []


def test_a_rollback_takes_the_task_along() -> None:
    """A task of a transaction that fails was never called."""
    with pytest.raises(RuntimeError), transaction.atomic():
        add.delay(1)
        raise RuntimeError
    assert not Message.objects.exists()


def test_types_beyond_json_survive(broker: Redis) -> None:
    """datetime, UUID and Decimal are kept in Celery's own envelopes."""
    add.delay(datetime(2026, 1, 1, tzinfo=UTC), b=[UUID(int=1), Decimal("1.10")])
    payload = Message.objects.get().payload
    assert payload["args"] == [{"__type__": "datetime", "__value__": "2026-01-01T00:00:00+00:00"}]
    assert payload["kwargs"]["b"][1] == {"__type__": "decimal", "__value__": "1.10"}


def test_options_and_headers_survive() -> None:
    """Queue, priority, headers, time limits and ids are what Celery would have sent."""
    add.apply_async(
        (1,), task_id=str(UUID(int=7)), queue="special", priority=2, headers={"tenant": "t1"}, time_limit=9
    )
    row = Message.objects.get()
    stored = row.headers["celery"]
    assert (row.id, row.queue, row.priority) == (UUID(int=7), "special", 2)
    assert stored["headers"]["timelimit"] == [9, None]
    assert stored["headers"]["tenant"] == "t1"
    assert "options" not in stored  # the queue is the row's


def test_a_countdown_counts_by_the_databases_clock() -> None:
    """Delays live in the database; the worker sees no eta."""
    add.apply_async((1,), countdown=60)
    with connection.cursor() as cursor:
        cursor.execute("SELECT next_attempt_at - now() FROM outbox_message")
        assert timedelta(seconds=55) < cursor.fetchone()[0] <= timedelta(seconds=60)
    assert "eta" not in Message.objects.get().headers["celery"]["headers"]


def test_an_eta_is_when_the_row_is_due() -> None:
    """An absolute time, with its zone."""
    eta = datetime(2031, 5, 1, 12, tzinfo=UTC)
    add.apply_async((1,), eta=eta)
    assert Message.objects.get().next_attempt_at == eta


def test_links_and_chains_travel_with_the_message() -> None:
    """What follows a task is kept in its row."""
    chain(add.s(1, 2), add.s(3)).apply_async()
    row = Message.objects.get()
    (following,) = row.payload["embed"]["chain"]
    assert (following["task"], following["args"]) == ("sample.add", [3])


def test_a_group_is_a_row_for_each_member() -> None:
    """Members share the group's id."""
    result = group(add.s(n, 1) for n in range(3)).apply_async()
    assert {row.headers["celery"]["headers"]["group"] for row in Message.objects.all()} == {result.id}
    assert Message.objects.count() == 3


def test_a_task_that_opted_out_goes_straight_to_the_broker(broker: Redis) -> None:
    """``durable=False`` is plain Celery."""
    undurable.delay()
    assert not Message.objects.exists()
    assert broker.llen("default") == 1


def test_wrong_arguments_are_refused_where_they_are_given() -> None:
    """As Celery does it: a TypeError at the call, and no row."""
    with pytest.raises(TypeError):
        add.delay()
    assert not Message.objects.exists()


def test_a_task_called_as_a_function_runs() -> None:
    """No row, no fence: it is a function."""
    assert add(1, b=2) == 3

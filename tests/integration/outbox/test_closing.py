"""What expired before it was sent, and Celery, which is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

from outbox import controls
from outbox.backoff import RetryPolicy
from outbox.models import Attempt, Message, Status
from outbox.relay.batch import Round
from outbox.relay.engine import Relay
from outbox.transports.memory import MemoryTransport
from tests.integration.outbox import sample

pytestmark = pytest.mark.django_db(transaction=True)
EXPIRED = {"celery": {"headers": {"expires": "2020-01-01T00:00:00+00:00"}}}


def expired(payload: Any, headers: Any = EXPIRED) -> Message:
    """A row that somebody wrote by hand."""
    return Message.objects.create(type="sample.add", consumer="sample.add", payload=payload, headers=headers)


@pytest.mark.parametrize(
    "payload",
    [{"args": [1], "kwargs": {}, "embed": None}, [1, 2], "text", {"args": [], "kwargs": {}, "embed": 7}],
)
def test_an_odd_payload_stops_no_other_message(payload: Any) -> None:
    """The row is closed all the same, and the rest of the batch is sent."""
    sample.add.delay(1)
    odd, usual = expired(payload), expired({"args": [1], "kwargs": {}})
    assert Relay(MemoryTransport()).run_once().sent == 1
    assert set(Message.objects.exclude(discarded_at=None).values_list("id", flat=True)) == {odd.id, usual.id}
    assert TaskResult.objects.get(task_id=str(usual.id)).status == "REVOKED"


def test_what_expired_is_counted_apart_from_what_is_held() -> None:
    """The relay's line tells the truth: nobody holds it back, and it does not come again."""
    controls.pause("type", "sample.total", "why")
    expired({"args": [1], "kwargs": {}})
    sample.total.delay([1])
    sample.add.delay(1)
    assert Relay(MemoryTransport()).run_once() == Round(claimed=3, sent=1, held=1, expired=1)


@pytest.mark.parametrize("expires", ["", "soon", "0001-01-01T00:00:00"])
def test_an_odd_time_is_no_time(expires: str) -> None:
    """It is sent: a worker looks once more."""
    expired({"args": [1], "kwargs": {}}, {"celery": {"headers": {"expires": expires}}})
    Relay(MemoryTransport()).run_once()
    assert Message.objects.filter(discarded_at=None).exists() == (expires != "0001-01-01T00:00:00")


def test_a_result_backend_that_is_away_stops_nothing(monkeypatch) -> None:
    """Also one that breaks the transaction it is called in: closed is closed."""

    def away(*_: Any, **__: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    monkeypatch.setattr(DatabaseBackend, "mark_as_revoked", away)
    sample.add.delay(1)
    row = expired({"args": [1], "kwargs": {}})
    assert Relay(MemoryTransport()).run_once().sent == 1
    row.refresh_from_db()
    assert (row.status, row.last_error) == (Status.FAILED, "Expired before it was sent.")


class Endless(RetryPolicy):
    """Asks for a wait without end."""

    def delay(self, attempt: int) -> float:
        return float("inf")


def test_a_broken_policy_ends_the_message_that_cannot_be_sent(monkeypatch) -> None:
    """With both errors; the others of its batch are sent."""
    monkeypatch.setattr(current_app.tasks["sample.total"], "delivery_retry", Endless())
    sample.add.delay(1)
    sample.total.delay([1])
    transport = MemoryTransport(refuse=lambda m: ValueError("no") if m.type == "sample.total" else None)
    assert Relay(transport).run_once()[1:3] == (1, 1)
    row = Message.objects.get(type="sample.total")
    assert (row.status, row.last_error) == (
        Status.FAILED,
        "ValueError: no (and its retry policy answered inf s, which nobody can wait)",
    )
    assert Attempt.objects.get().error == row.last_error

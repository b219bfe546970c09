"""Events change; rows of earlier versions are understood when they are consumed."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection, transaction

from outbox.api import Message, OutboxError, PermanentError, Status, event, publish, subscribe, upcast
from outbox.checks import check_events
from outbox.events import event_class_type
from outbox.relay.engine import Relay
from outbox.testing import drain
from outbox.testing.draining import InProcess, _run
from outbox.versions import load

pytestmark = pytest.mark.django_db

RECEIVED: list[Any] = []


@event("sample.priced", version=3)
@dataclass(frozen=True)
class Priced:
    amount: int
    currency: str
    net: bool


@upcast(Priced, from_version=1)
def add_currency(payload: dict[str, Any]) -> dict[str, Any]:
    """Version 1 was in euros."""
    return {**payload, "currency": "EUR"}


@upcast(Priced, from_version=2)
def add_net(payload: dict[str, Any]) -> dict[str, Any]:
    """Up to version 2 prices were gross."""
    if payload["amount"] < 0:
        raise ValueError("a negative price")
    return {**payload, "net": False}


@subscribe(Priced)
def take_price(event: Priced) -> None:
    """Keeps what it gets."""
    RECEIVED.append(event)


def received() -> list[Any]:
    """What the consumer was called with."""
    return RECEIVED


@pytest.fixture(autouse=True)
def _nothing_received() -> None:
    RECEIVED.clear()


def insert_by_hand(
    payload: dict[str, Any], headers: dict[str, Any], consumer: str = "tests.take_price"
) -> None:
    """A row as another version of the application had written it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_message (type, consumer, payload, headers) VALUES (%s, %s, %s, %s)",
            ["sample.priced", consumer, json.dumps(payload), json.dumps(headers)],
        )


def test_the_version_travels_with_the_message() -> None:
    """From the row to the consumer."""
    with transaction.atomic():
        publish(Priced(1, "JPY", net=True))
    assert Message.objects.get().headers["version"] == 3
    drain()
    assert received() == [Priced(1, "JPY", net=True)]


@pytest.mark.parametrize(
    ("version", "payload", "expected"),
    [
        (1, {"amount": 1}, Priced(1, "EUR", net=False)),
        (2, {"amount": 1, "currency": "JPY"}, Priced(1, "JPY", net=False)),
        (3, {"amount": 1, "currency": "JPY", "net": True}, Priced(1, "JPY", net=True)),
    ],
)
@pytest.mark.parametrize("consumer", ["tests.take_price", ""], ids=["addressed", "distributed"])
def test_an_older_row_is_upcast_when_it_is_consumed(
    version: int, payload: dict[str, Any], expected: Priced, consumer: str
) -> None:
    """One step after the other, also for a row that is given to every subscriber."""
    insert_by_hand(payload, {"version": version}, consumer)
    drain()
    assert received() == [expected]


def test_a_row_without_a_version_counts_as_the_current_one() -> None:
    """A person who inserts one writes what is documented now."""
    insert_by_hand({"amount": 1, "currency": "JPY", "net": True}, {})
    drain()
    assert received() == [Priced(1, "JPY", net=True)]


@pytest.mark.parametrize(
    ("headers", "payload", "reason"),
    [
        ({"version": 4}, {}, "has version 4, and this process knows up to version 3"),
        ({"version": 0}, {}, "0 is no version"),
        ({"version": "2"}, {}, "'2' is no version"),
        ({"version": True}, {}, "True is no version"),
        (
            {"version": 2},
            {"amount": -1, "currency": "EUR"},
            "from version 2 failed: ValueError: a negative price",
        ),
        ({"version": 1}, {"currency": "EUR"}, "from version 2 failed: KeyError: 'amount'"),
        ({"version": 3}, {"amount": 1}, "is no sample.priced (version 3)"),
        ({"version": 3, "traceparent": "junk"}, {"amount": "much"}, "is no sample.priced (version 3)"),
    ],
)
def test_what_cannot_be_understood_is_failed_with_the_reason(
    headers: dict[str, Any], payload: dict[str, Any], reason: str
) -> None:
    """Never skipped, never tried in vain: another attempt cannot help, a person can."""
    insert_by_hand(payload, headers)
    drain(check=False)
    row = Message.objects.get()
    assert (row.status, row.attempts, RECEIVED) == (Status.FAILED, 1, [])
    assert reason in row.last_error


@pytest.mark.django_db(transaction=True)
def test_a_newer_version_is_kept_for_newer_code_then_failed_with_the_reason(settings) -> None:
    """Workers that know it may be on their way; nobody skips it."""
    insert_by_hand({"gross": 1}, {"version": 4})
    _deliver()
    row = Message.objects.get()
    assert (row.status, row.attempts) == (Status.PENDING, 0)
    assert "has version 4, and this process knows up to version 3" in row.last_error
    settings.OUTBOX = {"UNKNOWN_TYPE_PATIENCE": 0.001}
    Message.objects.update(next_attempt_at=row.occurred_at)
    _deliver()
    row.refresh_from_db()
    assert (row.status, row.attempts, RECEIVED) == (Status.FAILED, 1, [])
    assert "has version 4" in row.last_error


def _deliver() -> None:
    """As a relay and a worker do, for which others may be coming."""
    transport = InProcess()
    Relay(transport).run_once()
    for message, envelope in transport.envelopes:
        _run(message, envelope)


COUNTER = itertools.count()


def declare(version: int) -> type:
    """An event of that version, without upcasters."""

    @event(f"sample.numbered_{next(COUNTER)}", version=version, optional=True)
    @dataclass(frozen=True)
    class Numbered:
        number: int

    return Numbered


def test_a_missing_upcaster_is_found_before_a_row_needs_it() -> None:
    """By the system check, and by the message itself."""
    kind = event_class_type(declare(3))
    upcast(kind.schema._type, from_version=1)(lambda payload: payload)  # type: ignore[arg-type]
    (problem,) = [found for found in check_events(None) if kind.name in found.msg]
    assert (problem.id, "version 2 " in problem.msg) == ("outbox.W003", True)
    with pytest.raises(PermanentError, match=r"add an @upcast\(\.\.\., from_version=2\)"):
        load(kind, {"number": 1}, 1)


def test_wrong_declarations_are_refused() -> None:
    """Where they are made."""
    cls = declare(2)
    upcast(cls, from_version=1)(lambda payload: payload)
    with pytest.raises(OutboxError, match="two upcasters"):
        upcast(cls, from_version=1)(lambda payload: payload)
    with pytest.raises(OutboxError, match="no way up from version 2"):
        upcast(cls, from_version=2)(lambda payload: payload)
    with pytest.raises(OutboxError, match="must be 1 or more"):
        declare(0)

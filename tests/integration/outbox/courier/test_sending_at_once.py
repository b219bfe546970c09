"""Sent at once by whoever committed it: after the commit, together, by one who needs little."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import transaction

from outbox import consumption
from outbox.database import fetch
from outbox.models import Message
from outbox.publish import send_command
from outbox.relay import courier
from outbox.relay.courier import Courier
from outbox.transports.base import Transport
from outbox.transports.celery import CeleryTransport
from outbox.transports.memory import MemoryTransport
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox.courier.conftest import publish

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_is_committed_is_sent_without_a_relay(transport: MemoryTransport, woken: list[str]) -> None:
    """All of a transaction together, after its commit; nobody is woken, and the delivery is the current one."""
    with transaction.atomic():
        ids = publish(2)
        assert transport.sent == []
    wait_until(lambda: len(transport.sent) == 2, "the messages to be sent")
    assert [message.id for message in transport.sent] == ids
    assert woken == []
    assert all(consumption.consume(message.id, message.attempts) for message in transport.sent)


def test_urgent_ones_go_first(transport: MemoryTransport) -> None:
    """Of one transaction, as a relay sends them; of one priority in the order in which they were written."""
    with transaction.atomic():
        late, *middle, soon = [send_command("sample.add", {}, priority=number) for number in (6, 5, 5, 1)]
    wait_until(lambda: len(transport.sent) == 4, "the messages to be sent")
    assert [message.id for message in transport.sent] == [soon, *middle, late]


def test_a_rollback_sends_nothing(transport: MemoryTransport) -> None:
    """Neither that of the transaction nor that of a savepoint in it."""
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            publish()
            raise RuntimeError
        (kept,) = publish()
    wait_until(lambda: transport.sent, "the other message to be sent")
    assert [message.id for message in transport.sent] == [kept]


def test_what_nobody_consumed_is_settled(transport: MemoryTransport) -> None:
    """It is Sent, and waits for its consumer as long as any other; what was consumed meanwhile stays as it is."""
    slow, quick = publish(2)
    wait_until(lambda: len(transport.sent) == 2, "the messages to be sent")
    assert consumption.consume(quick, 1)
    wait_until(lambda: Message.objects.get(pk=slow).status == "sent", "the other one to be settled")
    assert Message.objects.get(pk=slow).lock_id is None
    assert Message.objects.get(pk=quick).consumed_at


def test_an_idle_courier_has_no_database_connection(
    transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lets it go after a while without work, and makes another when there is some."""
    monkeypatch.setattr(courier, "IDLE_AFTER", 0.1)
    monkeypatch.setattr(courier, "SETTLE_AFTER", 0.1)
    before = backends()
    for sent in (1, 2):
        publish()
        wait_until(lambda: len(transport.sent) == sent, "the message to be sent")  # noqa: B023
        wait_until(lambda: not Message.objects.filter(status="processing").exists(), "it to be settled")
        wait_until(lambda: backends() <= before, "the connection to be closed")


def test_a_worker_takes_what_another_process_has_sent_at_once(
    platform: Platform, hire: Callable[[Transport], Courier]
) -> None:
    """The real broker, a real worker, and nobody who relays."""
    hire(CeleryTransport())
    platform.worker("default", concurrency=1)
    shipped = {
        "order_id": str(uuid4()),
        "total": "9.50",
        "currency": "EUR",
        "shipped_at": "2026-01-01T00:00:00Z",
    }
    with transaction.atomic():
        id_ = send_command("orders.count_daily_sales", shipped)
    wait_until(lambda: Message.objects.get(pk=id_).consumed_at, "the worker to have consumed it")


def backends() -> int:
    """Connections to the test's database."""
    ((count,),) = fetch("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    return int(count)

"""Things die in the middle: nothing is lost, and every effect happens once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from uuid import uuid4

import pytest
from celery import Celery
from django.conf import settings as django_settings
from redis import Redis

from orders.models import DailySales, Order
from orders.sandbox.client import SandboxClient
from outbox import claims
from outbox.audit import findings
from outbox.models import Message
from outbox.saga.models import Saga, SagaStep, SagaTransition
from outbox.transports.celery import CeleryTransport
from tests.harness.processes import STEP_QUEUES, Platform
from tests.harness.shop import order, product, wait_for_the_end
from tests.harness.waiting import wait_until


@pytest.fixture
def sandbox(platform: Platform, settings) -> Iterator[SandboxClient]:
    """The sandbox, and a product in stock; each test starts the workers that it wants."""
    client = platform.sandbox()
    settings.SANDBOX_URL, settings.SANDBOX_TOKEN = platform.env["SANDBOX_URL"], platform.env["SANDBOX_TOKEN"]
    product()
    with client:
        yield client


@pytest.mark.parametrize("victim", ["worker", "pool child"])
def test_a_worker_killed_in_the_middle_of_a_payment(
    sandbox: SandboxClient, platform: Platform, victim: str
) -> None:
    """SIGKILL between the call and its record: one charge in the provider's ledger, and the order ships."""
    platform.env["GATEWAY_TIMEOUT_SECONDS"] = "3.5"
    worker = platform.worker(concurrency=1)
    platform.worker("outbox", concurrency=1)
    platform.start("beat", "celery", "-A", "project", "beat", "-s", str(platform.directory / "beat"))
    sandbox.set_faults(
        "payment", lost_response_rate=1.0, lost_response_hold_ms=3000
    )  # acted, not yet answered
    placed = order()
    wait_until(lambda: list(sandbox.iter_charges(str(placed.id))), "the provider to have charged")
    assert SagaStep.objects.get(name="payment").status == SagaStep.Status.RUNNING
    if victim == "worker":
        worker.kill()
        sandbox.reset_faults()
        platform.worker(concurrency=1)
    else:
        sandbox.reset_faults()
        for child in worker.children():
            child.send_signal(signal.SIGKILL)
    assert wait_for_the_end([placed]) == {"shipped": 1}
    assert len(list(sandbox.iter_charges(str(placed.id)))) == 1
    assert "AttemptLost" in SagaTransition.objects.get(what="will retry").detail
    assert findings() == []


def test_a_wiped_broker_costs_time_not_work(
    sandbox: SandboxClient, platform: Platform, broker: Redis
) -> None:
    """FLUSHALL in the middle of 100 orders: all of them end."""
    platform.whole()
    orders = [order() for _ in range(100)]
    for share in (10, 40):
        wait_until(
            lambda share=share: Order.objects.filter(status="shipped").count() >= share,
            f"{share} orders to be shipped",
        )
        broker.flushall()
    assert wait_for_the_end(orders, timeout=150) == {"shipped": 100}
    wait_until(
        lambda: not Message.objects.filter(consumed_at=None).exists(),
        "every message to be consumed",
        timeout=90,
    )
    assert DailySales.objects.get().orders == 100
    assert findings() == []


def test_duplicates_and_forgeries_do_nothing(sandbox: SandboxClient, platform: Platform) -> None:
    """Every message three times, and one that no row stands for: each effect happens once."""
    placed = order()
    platform.worker()
    transport = CeleryTransport()
    stranger = Celery(broker=django_settings.BROKER_URL, set_as_current=False)
    while not _all_is_done():
        claim = claims.claim(100)
        for _ in range(3):
            if claim.messages:
                transport.send(claim.messages)
        claims.settle_sent(claim, [m.id for m in claim.messages])
        wait_until(
            lambda: Message.objects.filter(status="pending").exists() or _all_is_done(),
            "the next message, or the end",
        )
    forged = {"outbox_attempt": 1, "outbox_correlation_id": ""}
    arguments = {
        "order_id": str(placed.id),
        "total": "1.00",
        "currency": "EUR",
        "shipped_at": "2026-01-01T00:00:00Z",
    }
    for headers in ({}, forged):
        stranger.send_task("orders.count_daily_sales", kwargs=arguments, queue="default", headers=headers)
        stranger.send_task(
            "orders.payment.charge",
            kwargs={"saga": str(uuid4()), "key": str(placed.id)},
            queue="payment",
            headers=headers,
        )
    wait_until(lambda: not _waiting(), "the worker to have taken everything")
    assert wait_for_the_end([placed]) == {"shipped": 1}
    assert len(list(sandbox.iter_charges())) == 1
    assert DailySales.objects.get().orders == 1
    assert findings() == []
    transport.close()
    stranger.close()


def _all_is_done() -> bool:
    """Every saga has ended, and every message is consumed."""
    going = Saga.objects.filter(ended_at=None).exists()
    return not going and not Message.objects.filter(consumed_at=None).exists()


def _waiting() -> int:
    """How many steps and reactions wait in the broker, or are held unacknowledged."""
    client = Redis.from_url(django_settings.BROKER_URL)
    queues = [
        key
        for queue in STEP_QUEUES.split(",")
        for key in client.keys(f"{queue}*")
        if client.type(key) == b"list"
    ]
    waiting = sum(int(client.llen(key)) for key in queues) + int(client.hlen("unacked"))
    client.close()
    return waiting

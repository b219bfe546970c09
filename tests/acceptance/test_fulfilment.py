"""The whole path on real servers: orders placed by a service call, fulfilled by real workers, judged by the audit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orders.models import DailySales, Order, Payment, Reservation, Stock
from orders.sandbox.client import SandboxClient
from outbox.audit import findings
from outbox.models import Message
from outbox.saga.models import Saga, SagaStep, SagaTransition
from tests.harness.emptying import Emptying
from tests.harness.shared import SharedPlatform
from tests.harness.shop import BAD_CARD, NOWHERE, order, product, wait_for_the_end
from tests.harness.waiting import wait_until


@pytest.fixture(scope="module")
def processes(
    django_db_setup: Emptying, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedPlatform]:
    """What all tests share."""
    made = SharedPlatform(tmp_path_factory.mktemp("fulfilment"))
    yield made
    made.stop()


@pytest.fixture
def sandbox(
    transactional_db: None, processes: SharedPlatform, django_db_setup: Emptying, settings
) -> Iterator[SandboxClient]:
    """A running shop: sandbox, workers, beat, and a product in stock. A test that loses one of them fails."""
    settings.SANDBOX_URL = processes.env["SANDBOX_URL"]
    settings.SANDBOX_TOKEN = processes.env["SANDBOX_TOKEN"]
    processes.empty_sandbox()
    processes.work()
    product()
    yield processes.outside
    django_db_setup.empty_between_transactions()
    processes.check()


def assert_clean() -> None:
    """The audit finds nothing wrong, also not in the outside ledgers."""
    assert findings() == []


def steps(placed: Order) -> list[tuple[str, str, str]]:
    """What was reached: name, direction, status, in the order of reaching."""
    rows = SagaStep.objects.filter(saga__key=str(placed.id))
    return [(row.name, row.direction, row.status) for row in rows]


def test_an_order_is_fulfilled_and_everybody_hears_of_it(sandbox: SandboxClient) -> None:
    """Reserved, paid, shipped; the letters are sent, the day's sales counted, every message consumed."""
    placed = order(count=2)
    assert wait_for_the_end([placed]) == {"shipped": 1}
    wait_until(lambda: not Message.objects.filter(consumed_at=None).exists(), "every message to be consumed")
    assert steps(placed) == [(name, "action", "succeeded") for name in ("inventory", "payment", "shipping")]
    assert (Stock.objects.get().on_hand, Stock.objects.get().reserved) == (998, 0)
    assert [charge.amount for charge in sandbox.iter_charges(str(placed.id))] == [placed.total]
    assert (DailySales.objects.get().orders, DailySales.objects.get().revenue) == (1, placed.total)
    assert_clean()


def test_a_declined_payment_gives_the_stock_back(sandbox: SandboxClient) -> None:
    """No money moves, the stock is free again, the order is cancelled with the provider's words."""
    placed = order(card=BAD_CARD)
    assert wait_for_the_end([placed]) == {"cancelled": 1}
    placed.refresh_from_db()
    assert "declined" in placed.reason
    assert steps(placed) == [
        ("inventory", "action", "succeeded"),
        ("payment", "action", "failed"),
        ("inventory", "compensation", "succeeded"),
    ]
    assert Stock.objects.get().available == 1000
    assert not Payment.objects.exists()
    assert_clean()


def test_a_refused_shipment_refunds_and_releases_in_that_order(sandbox: SandboxClient) -> None:
    """What was done is undone in reverse."""
    placed = order(to=NOWHERE)
    assert wait_for_the_end([placed]) == {"cancelled": 1}
    assert steps(placed)[2:] == [
        ("shipping", "action", "failed"),
        ("payment", "compensation", "succeeded"),
        ("inventory", "compensation", "succeeded"),
    ]
    assert [charge.state for charge in sandbox.iter_charges(str(placed.id))] == ["refunded"]
    assert Payment.objects.get().status == Payment.Status.REFUNDED
    assert Reservation.objects.get().status == Reservation.Status.RELEASED
    assert_clean()


def test_too_little_stock_cancels_the_order(sandbox: SandboxClient) -> None:
    """The first step's refusal has nothing to undo."""
    product("RARE", on_hand=1)
    orders = [order(sku="RARE"), order(sku="RARE")]
    assert wait_for_the_end(orders) == {"shipped": 1, "cancelled": 1}
    assert_clean()


def test_payment_that_fails_half_the_time_delays_and_loses_nothing(sandbox: SandboxClient) -> None:
    """Every order ends, with retries on the way; one charge each."""
    sandbox.set_faults("payment", error_rate=0.5, seed=7)
    orders = [order() for _ in range(20)]
    ended = wait_for_the_end(orders, timeout=150)
    assert sum(ended.values()) == 20
    assert ended["shipped"] >= 15
    assert SagaTransition.objects.filter(what="will retry", step="payment").count() > 3
    assert_clean()


def test_a_lost_answer_is_asked_for_again_and_charged_once(sandbox: SandboxClient) -> None:
    """The provider acted, its answer was lost: the retry carries the same key, and the charge is one."""
    sandbox.set_faults("payment", lost_response_rate=0.5, seed=3)
    orders = [order() for _ in range(10)]
    ended = wait_for_the_end(orders, timeout=150)
    assert ended["shipped"] >= 8
    for placed in orders:
        assert len([c for c in sandbox.iter_charges(str(placed.id)) if c.state == "succeeded"]) <= 1
    assert_clean()


def test_a_customers_cancellation_is_compensated(sandbox: SandboxClient) -> None:
    """Before the pivot an order can be cancelled, and what was done is undone."""
    from orders.services.cancelling import cancel_order

    sandbox.set_faults("payment", down=True)
    placed = order()
    wait_until(
        lambda: SagaTransition.objects.filter(what="will retry", step="payment").exists(),
        "payment to be retried",
    )
    cancel_order(placed, placed.customer)
    sandbox.reset_faults()
    assert wait_for_the_end([placed]) == {"cancelled": 1}
    assert Stock.objects.get().available == 1000
    assert Saga.objects.get().reason == "You cancelled the order."
    assert_clean()

"""The letters that a customer gets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core import mail
from django.utils import translation

from orders import consumers
from orders.events import OrderCancelled, OrderPaid, OrderPlaced, OrderShipped
from orders.gateways.errors import PaymentDeclined
from orders.models import Order, Product
from tests.harness import fulfilling, shop


@pytest.fixture
def order(db: None) -> Order:
    """Of somebody and something whose names have characters that HTML would escape."""
    shop.product("TEA")
    Product.objects.filter(sku="TEA").update(name="Earl's <Grey> & Co")
    placed = shop.order(count=2)
    placed.recipient = "Ada O'Example"
    placed.save()
    return placed


def letter() -> mail.EmailMessage:
    """The one letter that was sent."""
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.org"]
    assert "\n" not in sent.subject
    assert "&#" not in sent.body
    assert "&amp;" not in sent.body
    assert "{" not in sent.body
    assert "Hello Ada O'Example" in sent.body
    return sent


def test_placed(order: Order) -> None:
    """What was ordered, and where it goes."""
    consumers.email_order_placed(OrderPlaced(order.id, order.total, order.currency))

    assert order.number in letter().subject
    assert "2 x Earl's <Grey> & Co" in letter().body
    assert "9.00 EUR" in letter().body
    assert "Unter den Linden 1" in letter().body


def test_paid(order: Order) -> None:
    """How much."""
    consumers.email_order_paid(OrderPaid(order.id, order.total, order.currency))

    assert "9.00 EUR" in letter().body


def test_shipped(order: Order) -> None:
    """With the tracking number."""
    fulfilling.ship(order)
    consumers.email_order_shipped(
        OrderShipped(order.id, order.total, order.currency, datetime(2026, 1, 1, tzinfo=UTC))
    )

    assert "on its way" in letter().subject
    assert fulfilling.TRACKING_NUMBER in letter().body


def test_cancelled(order: Order) -> None:
    """With the reason, and that no money was kept."""
    fulfilling.attempt(order, "inventory")
    fulfilling.attempt(order, "payment", error=PaymentDeclined("card_declined", "Your card isn't valid."))
    fulfilling.attempt(order, "inventory", "compensation")
    consumers.email_order_cancelled(OrderCancelled(order.id, "Your card isn't valid."))

    assert "was cancelled" in letter().subject
    assert "no money was kept" in letter().body
    assert "Reason: Your card isn't valid." in letter().body


def test_letters_are_in_the_customers_language(order: Order) -> None:
    """The one in which the order was placed, reason and product included; whatever the worker speaks."""
    Product.objects.update(name_ja="煎茶")
    with translation.override("ja"):
        placed = shop.order(count=3)
    consumers.email_order_placed(OrderPlaced(placed.id, placed.total, placed.currency))
    reason = f"There is not enough {Product.objects.get().name} left for 3."
    Order.objects.filter(pk=placed.pk).update(reason=reason)
    consumers.email_order_cancelled(OrderCancelled(placed.id, reason))
    first, second = mail.outbox

    assert first.subject == f"ご注文 {placed.number} を承りました"
    assert "3 x 煎茶" in first.body
    assert "煎茶の在庫が3点に足りませんでした。" in second.body
    assert "Your order" not in second.subject + second.body

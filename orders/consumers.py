"""Independent reactions to what happens to orders: each has its own messages, retries and fate."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import SimpleLazyObject

from orders.events import OrderCancelled, OrderPaid, OrderPlaced, OrderShipped
from orders.models import DailySales, Order
from orders.reasons import in_words
from outbox.api import subscribe


@subscribe(OrderPlaced, consumption="leased")
def email_order_placed(event: OrderPlaced) -> None:
    """Confirm the order to the customer."""
    _email(event.order_id, "placed")


@subscribe(OrderPaid, consumption="leased")
def email_order_paid(event: OrderPaid) -> None:
    """Tell the customer that the payment went through."""
    _email(event.order_id, "paid")


@subscribe(OrderShipped, consumption="leased")
def email_order_shipped(event: OrderShipped) -> None:
    """Tell the customer that the parcel is on its way."""
    _email(event.order_id, "shipped")


@subscribe(OrderCancelled, consumption="leased")
def email_order_cancelled(event: OrderCancelled) -> None:
    """Tell the customer why, and that no money was kept."""
    _email(event.order_id, "cancelled")


@subscribe(OrderShipped)
def count_daily_sales(event: OrderShipped) -> None:
    """Add the order to its day's sales: once, because the mark and the sum commit together."""
    day = event.shipped_at.date()
    DailySales.objects.bulk_create([DailySales(day=day, currency=event.currency)], ignore_conflicts=True)
    DailySales.objects.filter(day=day, currency=event.currency).update(
        orders=F("orders") + 1, revenue=F("revenue") + event.total
    )


def _email(order_id: UUID, what: str) -> None:
    """Send one of the shop's letters. At least once: a crash right after sending means another copy."""
    order = Order.objects.select_related("customer").get(pk=order_id)
    if not order.customer.email:
        return
    context: dict[str, Any] = {
        "order": order,
        "lines": order.lines.select_related("product"),
        "shipment": SimpleLazyObject(order.shipments.last),  # only one of the letters tells of it
    }
    with translation.override(order.language):
        context["reason"] = in_words(order, order.reason)
        subject = render_to_string(f"orders/email/{what}_subject.txt", context).strip()
        body = render_to_string(f"orders/email/{what}.txt", context)
    send_mail(subject, body, settings.DEFAULT_FROM_EMAIL, [order.customer.email])

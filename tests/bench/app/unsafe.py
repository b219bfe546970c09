"""Fulfilment as a plain Celery chain: the shop's own statements, the same calls to the gateways, and no safety.

No outbox, no saga, no attempts, no compensation: what a crash interrupts stays as it is. It is here to be raced
against, and as what a request does all by itself in the view beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any
from uuid import UUID

from celery import Task, chain, shared_task
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from orders import consumers
from orders.events import LATER, OrderPaid, OrderPlaced, OrderShipped
from orders.gateways import carrier, payment_gateway
from orders.gateways.ports import ChargeRequest, ShipmentRequest
from orders.models import Order
from orders.services import records, stock
from orders.services.records import Delivery
from orders.services.status import change_status
from outbox.events import event_class_type

REACTIONS = {
    "placed": (OrderPlaced, consumers.email_order_placed),
    "paid": (OrderPaid, consumers.email_order_paid),
    "shipped": (OrderShipped, consumers.email_order_shipped),
    "counted": (OrderShipped, consumers.count_daily_sales),
}


def place(customer: User, quantities: Mapping[str, int], delivery: Delivery, card: str) -> Order:
    """The order and its lines."""
    products = records.products_by_sku(quantities)
    ordered = {products[sku]: count for sku, count in quantities.items()}
    with transaction.atomic():
        return records.keep_order(customer, ordered, delivery, card=card, language="en")


def fulfil_later(order: Order) -> None:
    """Send the chain, and the letter, to the broker."""
    id_ = str(order.id)
    _announce("placed", OrderPlaced(order.id, order.total, order.currency))
    chain(reserve.si(id_), charge.si(id_), ship.si(id_)).delay()


@shared_task(base=Task, name="unsafe.reserve", queue="inventory", ignore_result=True)
def reserve(order_id: str) -> None:
    """Promise the stock."""
    with transaction.atomic():
        stock.reserve(order_id)
        change_status(order_id, Order.Status.RESERVED)


@shared_task(base=Task, name="unsafe.charge", queue="payment", ignore_result=True)
def charge(order_id: str) -> None:
    """Take the money."""
    due = take_money(order_id)
    _announce("paid", OrderPaid(UUID(order_id), due.total, due.currency))


@shared_task(base=Task, name="unsafe.ship", queue="shipping", ignore_result=True)
def ship(order_id: str) -> None:
    """Hand the parcel over."""
    event = OrderShipped(UUID(order_id), *hand_over(order_id), timezone.now())
    _announce("shipped", event)
    _announce("counted", event)


@shared_task(base=Task, name="unsafe.react", queue="default", ignore_result=True)
def react(what: str, payload: dict[str, Any]) -> None:
    """One of the reactions to what happened: the shop's own functions."""
    event, reaction = REACTIONS[what]
    reaction(event_class_type(event).schema.validate_python(payload))


def take_money(order_id: str) -> records.Due:
    """Charge, and write it down."""
    due = records.due(order_id)
    key = f"{order_id}:payment:action"
    request = ChargeRequest(key, order_id, due.total, due.currency, due.card)
    answer = payment_gateway().charge(request, traceparent=None)
    with transaction.atomic():
        records.keep_payment(
            order_id, amount=due.total, currency=due.currency, provider_id=answer.id, key=key
        )
        change_status(order_id, Order.Status.PAID)
    return due


def hand_over(order_id: str) -> tuple[Decimal, str]:
    """Create the shipment, and write it down; returns what the order cost."""
    key = f"{order_id}:shipping:action"
    request = ShipmentRequest(key=key, reference=order_id, **vars(records.delivery(order_id)))
    answer = carrier().create_shipment(request, traceparent=None)
    with transaction.atomic():
        records.keep_shipment(order_id, carrier_id=answer.id, tracking_number=answer.tracking_number, key=key)
        stock.ship(order_id)
        return change_status(order_id, Order.Status.SHIPPED)


def _announce(what: str, event: OrderPlaced | OrderPaid | OrderShipped) -> None:
    schema = event_class_type(type(event)).schema
    payload = schema.dump_python(schema.validate_python(asdict(event)), mode="json")
    react.apply_async((what, payload), priority=LATER)

"""Fulfilment as a plain Celery chain: the same rows of the shop, the same calls to the gateways, and no safety.

No outbox, no saga, no fence, no compensation: what a crash interrupts stays as it is, and a message that comes
twice acts twice. It is here to be raced against, and as what a request does all by itself in the view beside it.
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
from django.db.models.functions import Now
from django.utils import timezone

from orders import consumers
from orders.events import LATER, OrderPaid, OrderPlaced, OrderShipped
from orders.gateways import carrier, payment_gateway
from orders.gateways.ports import ChargeRequest, ShipmentRequest
from orders.models import Order, OrderLine, Payment, Product, Shipment
from orders.services import stock
from orders.services.placing import Delivery
from outbox.events import event_class_type

REACTIONS = {
    "placed": (OrderPlaced, consumers.email_order_placed),
    "paid": (OrderPaid, consumers.email_order_paid),
    "shipped": (OrderShipped, consumers.email_order_shipped),
    "counted": (OrderShipped, consumers.count_daily_sales),
}


def place(customer: User, quantities: Mapping[str, int], delivery: Delivery, card: str) -> Order:
    """The order and its lines."""
    products = {p.sku: p for p in Product.objects.filter(sku__in=list(quantities), is_active=True)}
    order = Order(customer=customer, card=card, **vars(delivery))
    order.language = "en"
    order.currency = next(iter(products.values())).currency
    order.total = sum((products[sku].price * count for sku, count in quantities.items()), Decimal(0))
    with transaction.atomic():
        order.save(force_insert=True)
        OrderLine.objects.bulk_create(
            OrderLine(order=order, product=products[sku], quantity=count, unit_price=products[sku].price)
            for sku, count in quantities.items()
        )
    return order


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
        Order.objects.filter(pk=order_id).update(status=Order.Status.RESERVED)


@shared_task(base=Task, name="unsafe.charge", queue="payment", ignore_result=True)
def charge(order_id: str) -> None:
    """Take the money."""
    take_money(order_id)
    order = Order.objects.only("total", "currency").get(pk=order_id)
    _announce("paid", OrderPaid(UUID(order_id), order.total, order.currency))


@shared_task(base=Task, name="unsafe.ship", queue="shipping", ignore_result=True)
def ship(order_id: str) -> None:
    """Hand the parcel over."""
    order = hand_over(order_id)
    event = OrderShipped(order.id, order.total, order.currency, timezone.now())
    _announce("shipped", event)
    _announce("counted", event)


@shared_task(base=Task, name="unsafe.react", queue="default", ignore_result=True)
def react(what: str, payload: dict[str, Any]) -> None:
    """One of the reactions to what happened: the shop's own functions."""
    event, reaction = REACTIONS[what]
    reaction(event_class_type(event).schema.validate_python(payload))


def take_money(order_id: str) -> None:
    """Charge, and write it down."""
    order = Order.objects.only("total", "currency", "card").get(pk=order_id)
    key = f"{order_id}:payment:action"
    answer = payment_gateway().charge(
        ChargeRequest(key, order_id, order.total, order.currency, order.card), traceparent=None
    )
    with transaction.atomic():
        Payment.objects.create(
            order_id=order_id, amount=answer.amount, currency=answer.currency, provider_id=answer.id,
            idempotency_key=key,
        )  # fmt: skip
        Order.objects.filter(pk=order_id).update(status=Order.Status.PAID)


def hand_over(order_id: str) -> Order:
    """Create the shipment, and write it down."""
    order = Order.objects.get(pk=order_id)
    key = f"{order_id}:shipping:action"
    address = {name: getattr(order, name) for name in ("recipient", "address", "postcode", "city", "country")}
    answer = carrier().create_shipment(
        ShipmentRequest(key=key, reference=order_id, **address), traceparent=None
    )
    with transaction.atomic():
        Shipment.objects.create(
            order_id=order_id, carrier_id=answer.id, tracking_number=answer.tracking_number,
            idempotency_key=key,
        )  # fmt: skip
        stock.ship(order_id)
        Order.objects.filter(pk=order_id).update(status=Order.Status.SHIPPED, ended_at=Now())
    return order


def _announce(what: str, event: OrderPlaced | OrderPaid | OrderShipped) -> None:
    schema = event_class_type(type(event)).schema
    payload = schema.dump_python(schema.validate_python(asdict(event)), mode="json")
    react.apply_async((what, payload), priority=LATER)

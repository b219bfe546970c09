"""What orders and their steps read and write, by one statement each that the database plans once.

They run for every order, on its way to the carrier, and by Django's ORM each takes most of a millisecond longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib.auth.models import User
from uuid_utils.compat import uuid7

from orders.models import Order, Payment, Product, Shipment
from orders.services.rows import columns_of, made_from
from outbox.api import execute, fetch

FOR_SALE = f"""
SELECT {columns_of(Product)} FROM orders_product WHERE is_active AND sku = ANY(%s)
"""  # noqa: S608  (our columns)
KEEP_ORDER = f"""
WITH kept AS (
    INSERT INTO orders_order
        (id, customer_id, status, total, currency, card, recipient, address, postcode, city, country, language,
         version, reason)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, '')
    RETURNING *
), lines AS (
    INSERT INTO orders_orderline (order_id, product_id, quantity, unit_price)
    SELECT kept.id, line.* FROM kept, unnest(%s::uuid[], %s::integer[], %s::numeric[]) line
)
SELECT {columns_of(Order)} FROM kept
"""  # noqa: S608  (our columns)
DUE = "SELECT total, currency, card FROM orders_order WHERE id = %s"
DELIVERY = "SELECT recipient, address, postcode, city, country FROM orders_order WHERE id = %s"
KEEP_PAYMENT = """
INSERT INTO orders_payment (id, order_id, status, amount, currency, provider_id, idempotency_key)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
KEEP_SHIPMENT = """
INSERT INTO orders_shipment (id, order_id, status, carrier_id, tracking_number, idempotency_key)
VALUES (%s, %s, %s, %s, %s, %s)
"""


class Due(NamedTuple):
    """What is to be paid, and the payment provider's token of the card."""

    total: Decimal
    currency: str
    card: str


@dataclass(frozen=True)
class Delivery:
    """Where the parcel goes."""

    recipient: str
    address: str
    postcode: str
    city: str
    country: str


def products_by_sku(skus: Iterable[str]) -> dict[str, Product]:
    """Those of these products that are for sale."""
    rows = fetch(FOR_SALE, [list(skus)], prepared=True)
    return {product.sku: product for product in (made_from(Product, row) for row in rows)}


def keep_order(
    customer: User, quantities: Mapping[Product, int], delivery: Delivery, *, card: str, language: str
) -> Order:
    """Write an order with its lines, at the products' prices, in the caller's transaction.

    Args:
        customer: who orders.
        quantities: how many of each product: at least of one, and all in the same currency.
        delivery: where to.
        card: the payment provider's token for the card.
        language: of the letters about it.
    """
    prices = [product.price for product in quantities]
    total = sum((price * count for price, count in zip(prices, quantities.values(), strict=True)), Decimal(0))
    bill = [Order.Status.PLACED.value, total, next(iter(quantities)).currency, card]
    lines = [[product.id for product in quantities], [*quantities.values()], prices]
    values = [uuid7(), customer.pk, *bill, *vars(delivery).values(), language, *lines]
    (row,) = fetch(KEEP_ORDER, values, prepared=True)
    order = made_from(Order, row)
    order.customer = customer
    return order


def due(order_id: str) -> Due:
    """What an order costs.

    Raises:
        Order.DoesNotExist: there is no such order.
    """
    return Due(*_read(DUE, order_id))


def delivery(order_id: str) -> Delivery:
    """Where an order goes. Raises as :func:`due`."""
    return Delivery(*_read(DELIVERY, order_id))


def keep_payment(order_id: str, *, amount: Decimal, currency: str, provider_id: str, key: str) -> None:
    """Write down that an order is paid, in the caller's transaction.

    Raises:
        IntegrityError: a payment of that idempotency key is written down already, or the order has another live one.
    """
    charged = Payment.Status.CHARGED.value
    values = [uuid7(), UUID(order_id), charged, amount, currency, provider_id, key]
    execute(KEEP_PAYMENT, values, prepared=True)


def keep_shipment(order_id: str, *, carrier_id: str, tracking_number: str, key: str) -> None:
    """Write down that the carrier has an order's parcel. For the rest see :func:`keep_payment`."""
    created = Shipment.Status.CREATED.value
    values = [uuid7(), UUID(order_id), created, carrier_id, tracking_number, key]
    execute(KEEP_SHIPMENT, values, prepared=True)


def _read(sql: str, order_id: str) -> tuple[Any, ...]:
    rows = fetch(sql, [UUID(order_id)], prepared=True)
    if not rows:
        raise Order.DoesNotExist(f"There is no order {order_id}.")
    return rows[0]

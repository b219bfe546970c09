"""What a customer may look at. Every query of orders starts from the customer, and finds no other's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Count, F, Prefetch, Q, QuerySet, Sum
from django.utils.translation import gettext as _

from orders.exceptions import OrdersError
from orders.models import Order, OrderLine, Product, Shipment
from orders.services.records import Delivery

LIVE = "live_shipments"


class InvalidCursor(OrdersError):
    """A cursor that no page of ours has given."""


@dataclass(frozen=True)
class OrderPage:
    """Some of a customer's orders, newest first.

    Args:
        orders: each with ``line_count`` and ``item_count``.
        next_cursor: where the next page begins; ``None`` on the last one.
    """

    orders: Sequence[Order]
    next_cursor: str | None


def products_for_sale(search: str = "", *, in_stock: bool = False) -> QuerySet[Product]:
    """What can be ordered, by name, with its stock. Of one without a stock record nothing is available.

    Args:
        search: only those that have each of these words in their name, description or SKU, in either language.
        in_stock: only those of which something is available.
    """
    products = Product.objects.filter(is_active=True).select_related("stock")
    for word in search.split():
        products = products.filter(
            Q(name__icontains=word)
            | Q(name_ja__icontains=word)
            | Q(description__icontains=word)
            | Q(description_ja__icontains=word)
            | Q(sku__icontains=word)
        )
    return products.filter(stock__on_hand__gt=F("stock__reserved")) if in_stock else products


def available(product: Product) -> int:
    """How many of a product can still be ordered, as of when it was read."""
    stock = getattr(product, "stock", None)
    return stock.available if stock is not None else 0


def order_of(customer: AbstractBaseUser, order_id: UUID) -> Order:
    """One of the customer's orders, with its lines, their products and the live shipment, in three queries.

    Each line has a ``sum``: its price times its quantity.

    Raises:
        Order.DoesNotExist: there is none, or it is somebody else's.
    """
    lines = OrderLine.objects.select_related("product").annotate(sum=F("unit_price") * F("quantity"))
    shipments = Shipment.objects.filter(status=Shipment.Status.CREATED)
    orders = Order.objects.filter(customer_id=customer.pk)
    return orders.prefetch_related(
        Prefetch("lines", queryset=lines), Prefetch("shipments", queryset=shipments, to_attr=LIVE)
    ).get(pk=order_id)


def tracking_number(order: Order) -> str | None:
    """The parcel's number at the carrier, of an order read by :func:`order_of`; ``None`` without a parcel."""
    live = getattr(order, LIVE)
    return live[0].tracking_number if live else None


def orders_of(
    customer: AbstractBaseUser, *, cursor: str = "", limit: int = 20, statuses: Collection[str] = ()
) -> OrderPage:
    """A page of the customer's orders, in one query, however many they are.

    Args:
        cursor: ``next_cursor`` of the page before; empty for the newest orders.
        limit: orders on a page, at least 1.
        statuses: only those with one of these; empty for all.

    Raises:
        InvalidCursor: it is not one of ours.
    """
    orders = Order.objects.filter(customer_id=customer.pk)
    if cursor:
        orders = orders.filter(id__lt=_decode(cursor))
    if statuses:
        orders = orders.filter(status__in=statuses)
    counted = orders.annotate(line_count=Count("lines"), item_count=Sum("lines__quantity"))
    found = list(counted.order_by("-id")[: limit + 1])
    page = found[:limit]
    return OrderPage(page, _encode(page[-1].id) if len(found) > limit else None)


def last_delivery(customer: AbstractBaseUser) -> Delivery | None:
    """Where the customer's latest order went, to fill in a form; ``None`` before the first."""
    order = Order.objects.filter(customer_id=customer.pk).order_by("-id").first()
    if order is None:
        return None
    return Delivery(order.recipient, order.address, order.postcode, order.city, order.country)


def _encode(order_id: UUID) -> str:
    """UUIDv7 grows with time, so an id is a place in the list. Clients must not read anything into it."""
    return base64.urlsafe_b64encode(order_id.bytes).rstrip(b"=").decode()


def _decode(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise InvalidCursor(_("This page does not exist. Start again from the first one.")) from None

"""Stock moves: each SKU one conditional UPDATE, SKUs always in the same order, so that orders never deadlock."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F

from orders.exceptions import OutOfStock
from orders.models import OrderLine, Reservation, Stock

Status = Reservation.Status


def reserve(order_id: UUID | str) -> int:
    """Promise stock to each line of an order, in the caller's transaction. Returns how many lines.

    Raises:
        OutOfStock: there is too little of a product; the caller's transaction must be rolled back.
    """
    lines = OrderLine.objects.filter(order_id=order_id).select_related("product").order_by("product__sku")
    for line in lines:
        enough = Stock.objects.filter(product_id=line.product_id, on_hand__gte=F("reserved") + line.quantity)
        if not enough.update(reserved=F("reserved") + line.quantity):
            raise OutOfStock(f"There is not enough {line.product.name} left for {line.quantity}.")
    made = Reservation.objects.bulk_create(
        Reservation(order_id=order_id, product_id=line.product_id, quantity=line.quantity) for line in lines
    )
    return len(made)


def release(order_id: UUID | str) -> int:
    """Give back what is promised to an order, in the caller's transaction. Returns how many lines; 0 when none is."""
    return _end(order_id, Status.RELEASED, leaves_the_house=False)


def ship(order_id: UUID | str) -> int:
    """Take what was promised to an order off the shelf, in the caller's transaction. Returns how many lines."""
    return _end(order_id, Status.SHIPPED, leaves_the_house=True)


def _end(order_id: UUID | str, status: Reservation.Status, *, leaves_the_house: bool) -> int:
    held = Reservation.objects.filter(order_id=order_id, status=Status.RESERVED)
    ended = 0
    for reservation in held.select_related("product").order_by("product__sku"):
        if not held.filter(pk=reservation.pk).update(status=status):
            continue  # ended by somebody else since it was read
        gone = reservation.quantity if leaves_the_house else 0
        Stock.objects.filter(product_id=reservation.product_id).update(
            reserved=F("reserved") - reservation.quantity, on_hand=F("on_hand") - gone
        )
        ended += 1
    return ended

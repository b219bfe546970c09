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
    lines = OrderLine.objects.filter(order_id=order_id).order_by("product__sku")
    wanted = lines.values_list("product_id", "quantity", "product__name")
    for product, quantity, name in wanted:
        enough = Stock.objects.filter(product_id=product, on_hand__gte=F("reserved") + quantity)
        if not enough.update(reserved=F("reserved") + quantity):
            raise OutOfStock(f"There is not enough {name} left for {quantity}.")
    made = Reservation.objects.bulk_create(
        Reservation(order_id=order_id, product_id=product, quantity=quantity)
        for product, quantity, _ in wanted
    )
    return len(made)


def release(order_id: UUID | str) -> int:
    """Give back what is promised to an order, in the caller's transaction. Returns how many lines; 0 when none is."""
    return _end(order_id, Status.RELEASED, leaves_the_house=False)


def ship(order_id: UUID | str) -> int:
    """Take what was promised to an order off the shelf, in the caller's transaction. Returns how many lines."""
    return _end(order_id, Status.SHIPPED, leaves_the_house=True)


def _end(order_id: UUID | str, status: Reservation.Status, *, leaves_the_house: bool) -> int:
    reserved = Reservation.objects.filter(order_id=order_id, status=Status.RESERVED)
    locked = reserved.select_for_update(of=("self",)).order_by("product__sku")
    held = list(locked.values_list("pk", "product_id", "quantity"))
    if held:
        Reservation.objects.filter(pk__in=[pk for pk, _, _ in held]).update(status=status)
    for _, product, quantity in held:
        gone = quantity if leaves_the_house else 0
        Stock.objects.filter(product_id=product).update(
            reserved=F("reserved") - quantity, on_hand=F("on_hand") - gone
        )
    return len(held)

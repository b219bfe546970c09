"""Correct the count of what is on the shelf, by hand."""

from __future__ import annotations

from uuid import UUID

from orders.exceptions import OrdersError
from orders.models import Stock


class CannotCorrect(OrdersError):
    """The count cannot be true; the message says why, for whoever counted.

    Args:
        message: in words for a person.
        on_hand: what the stock is now.
    """

    def __init__(self, message: str, on_hand: int) -> None:
        super().__init__(message)
        self.on_hand = on_hand


def check_count(product_id: UUID, *, counted: int, seen: int | None) -> None:
    """Check a count against the stock as it is, and hold the stock until the caller's transaction ends.

    Args:
        product_id: whose stock.
        counted: how many there are.
        seen: how many there were said to be when somebody counted.

    Raises:
        CannotCorrect: more is promised to orders than was counted, or something left the house meanwhile.
    """
    stock = Stock.objects.select_for_update().filter(pk=product_id).first()
    if stock is None:
        return
    if stock.on_hand != seen:
        was = "" if seen is None else f" from {seen}"
        raise CannotCorrect(
            f"The stock changed meanwhile{was} to {stock.on_hand}: look at your count, and save again.",
            stock.on_hand,
        )
    if counted < stock.reserved:
        raise CannotCorrect(
            f"{stock.reserved} are promised to orders: there cannot be fewer on hand.", stock.on_hand
        )


def set_count(product_id: UUID, counted: int) -> None:
    """Write the count, and nothing else: what is reserved is the orders' business.

    Call it after :func:`check_count`, in the same transaction. A product without stock gets some.
    """
    if not Stock.objects.filter(pk=product_id).update(on_hand=counted):
        Stock.objects.create(product_id=product_id, on_hand=counted)

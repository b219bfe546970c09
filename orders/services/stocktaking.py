"""Correct the count of what is on the shelf, by hand."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

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
        text = _("The stock changed meanwhile to %(now)s: look at your count, and save again.")
        if seen is not None:
            text = _(
                "The stock changed meanwhile from %(was)s to %(now)s: look at your count, and save again."
            )
        raise CannotCorrect(text % {"was": seen, "now": stock.on_hand}, stock.on_hand)
    if counted < stock.reserved:
        text = _("%(reserved)s are promised to orders: there cannot be fewer on hand.")
        raise CannotCorrect(text % {"reserved": stock.reserved}, stock.on_hand)


def set_count(product_id: UUID, counted: int) -> None:
    """Write the count, and nothing else: what is reserved is the orders' business.

    Call it after :func:`check_count`, in the same transaction. A product without stock gets some.
    """
    if not Stock.objects.filter(pk=product_id).update(on_hand=counted):
        Stock.objects.create(product_id=product_id, on_hand=counted)

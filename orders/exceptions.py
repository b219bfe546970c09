"""The shop's errors. ``public_reason`` is what a customer may read."""

from __future__ import annotations


class OrdersError(Exception):
    """Anything the shop refuses."""

    @property
    def public_reason(self) -> str:
        """In words for a customer."""
        return str(self)


class InvalidOrder(OrdersError):
    """An order that cannot be placed as it is.

    Args:
        errors: what is wrong, by field.
    """

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class OutOfStock(OrdersError):
    """There is not enough of a product left."""


class OrderChanged(OrdersError):
    """There is no way for the order from its status to that one (any more): look again."""


class CannotCancel(OrdersError):
    """The order is past the point where it can be cancelled."""

"""How the states of orders and of what was done for them are shown."""

from __future__ import annotations

from django.utils.safestring import SafeString

from orders.models import Order, Payment, Reservation, Shipment
from outbox.admin.rendering import label

COLOURS: dict[str, str] = {
    Order.Status.PLACED: "info",
    Order.Status.RESERVED: "info",
    Order.Status.PAID: "primary",
    Order.Status.SHIPPED: "success",
    Order.Status.CANCELLING: "warning",
    Order.Status.CANCELLED: "",
    Order.Status.NEEDS_ATTENTION: "danger",
    Payment.Status.CHARGED: "success",
    Payment.Status.REFUNDED: "",
    Reservation.Status.RELEASED: "",
    Shipment.Status.CREATED: "success",
}


def status_label(row: Order | Payment | Reservation | Shipment) -> SafeString:
    """The row's status as a coloured word."""
    return label(row.get_status_display(), COLOURS[row.status])

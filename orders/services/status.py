"""An order's status: a change is one conditional UPDATE, from where there is a way to it."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now

from orders.exceptions import OrderChanged
from orders.models import Order

Status = Order.Status

ALLOWED: dict[str, tuple[str, ...]] = {
    Status.PLACED: (Status.RESERVED, Status.CANCELLING, Status.NEEDS_ATTENTION),
    Status.RESERVED: (Status.PAID, Status.CANCELLING, Status.NEEDS_ATTENTION),
    Status.PAID: (Status.SHIPPED, Status.CANCELLING, Status.NEEDS_ATTENTION),
    Status.CANCELLING: (Status.CANCELLED, Status.NEEDS_ATTENTION),
    Status.NEEDS_ATTENTION: tuple(Status.values),
    Status.SHIPPED: (),
    Status.CANCELLED: (),
}
FROM = {to: [status for status, ways in ALLOWED.items() if to in ways] for to in Status}


def change_status(order_id: UUID | str, to: Order.Status, *, reason: str | None = None) -> None:
    """Move an order to another status, in the caller's transaction.

    Raises:
        OrderChanged: there is no way to it from where the order is by now; nothing changed.
        Order.DoesNotExist: there is no such order.
    """
    order = Order.objects.filter(pk=order_id)
    changes = {"status": to, "version": F("version") + 1, "ended_at": Now() if to in Order.ENDED else None}
    if reason is not None:
        changes["reason"] = reason
    if not order.filter(status__in=FROM[to]).update(**changes):
        found = order.get()
        raise OrderChanged(f"Order {found.number} is {found.status}: it cannot become {to}.")

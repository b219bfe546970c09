"""An order's status, changed only from the version that was read."""

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


def change_status(order_id: UUID | str, to: Order.Status, *, reason: str | None = None) -> Order:
    """Move an order to another status, in the caller's transaction.

    Raises:
        OrderChanged: it moved on since it was read here, or there is no way from where it is; nothing changed.
    """
    order = Order.objects.get(pk=order_id)
    if to not in ALLOWED[order.status]:
        raise OrderChanged(f"Order {order.number} is {order.status}: it cannot become {to}.")
    changes = {"status": to, "version": F("version") + 1, "ended_at": Now() if to in Order.ENDED else None}
    if reason is not None:
        changes["reason"] = reason
    if not Order.objects.filter(pk=order.pk, version=order.version).update(**changes):
        raise OrderChanged(f"Order {order.number} was changed by somebody else.")
    order.status = to
    order.version += 1
    return order

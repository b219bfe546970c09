"""An order's status: a change is one conditional UPDATE, from where there is a way to it."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from orders.exceptions import OrderChanged
from orders.models import Order
from outbox.api import fetch

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
FROM = {to: [str(status) for status, ways in ALLOWED.items() if to in ways] for to in Status}

CHANGE = """
UPDATE orders_order
SET status = %s, version = version + 1, reason = coalesce(%s::text, reason),
    ended_at = CASE WHEN %s::boolean THEN statement_timestamp() END
WHERE id = %s AND status = ANY(%s::text[])
RETURNING total, currency
"""


def change_status(
    order_id: UUID | str, to: Order.Status, *, reason: str | None = None
) -> tuple[Decimal, str]:
    """Move an order to another status, in the caller's transaction; returns its total and its currency.

    Raises:
        OrderChanged: there is no way to it from where the order is by now; nothing changed.
        Order.DoesNotExist: there is no such order.
    """
    values = [to.value, reason, to in Order.ENDED, UUID(str(order_id)), FROM[to]]
    rows = fetch(CHANGE, values, prepared=True)
    if not rows:
        found = Order.objects.get(pk=order_id)
        raise OrderChanged(f"Order {found.number} is {found.status}: it cannot become {to}.")
    total, currency = rows[0]
    return total, currency

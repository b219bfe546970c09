"""Stock moves: each is one statement for all lines of an order, and locks its products in one order, so that two orders
never deadlock. Moves of the same order come one after the other: its saga sees to that.
"""

from __future__ import annotations

from uuid import UUID

from orders.exceptions import OutOfStock
from orders.models import Reservation
from outbox.api import execute, fetch

Status = Reservation.Status

RESERVE = """
WITH wanted AS (
    SELECT product_id, quantity FROM orders_orderline WHERE order_id = %s
), locked AS MATERIALIZED (
    SELECT s.product_id, s.on_hand, s.reserved, w.quantity
    FROM orders_stock s JOIN wanted w USING (product_id) ORDER BY s.product_id FOR NO KEY UPDATE OF s
), taken AS (
    UPDATE orders_stock s SET on_hand = l.on_hand, reserved = l.reserved + l.quantity
    FROM locked l WHERE s.product_id = l.product_id AND l.on_hand - l.reserved >= l.quantity
    RETURNING s.product_id, l.quantity
), noted AS (
    INSERT INTO orders_reservation (order_id, product_id, quantity, status)
    SELECT %s, product_id, quantity, %s::text FROM taken
)
SELECT p.name, w.quantity, t.product_id IS NOT NULL
FROM wanted w JOIN orders_product p ON p.id = w.product_id LEFT JOIN taken t USING (product_id) ORDER BY p.sku
"""
"""What was read behind the lock is what there is, also where somebody has just changed it. The rows that UPDATE finds
are those of the statement's beginning, and PostgreSQL checks the constraints with their numbers: so both are set."""

END = """
WITH ended AS (
    UPDATE orders_reservation SET status = %s WHERE order_id = %s AND status = %s
    RETURNING product_id, quantity
), locked AS MATERIALIZED (
    SELECT s.product_id, s.on_hand, s.reserved, e.quantity
    FROM orders_stock s JOIN ended e USING (product_id) ORDER BY s.product_id FOR NO KEY UPDATE OF s
)
UPDATE orders_stock s
SET reserved = l.reserved - l.quantity,
    on_hand = l.on_hand - CASE WHEN %s::boolean THEN l.quantity ELSE 0 END
FROM locked l WHERE s.product_id = l.product_id
"""


def reserve(order_id: UUID | str) -> int:
    """Promise stock to each line of an order, in the caller's transaction. Returns how many lines.

    Raises:
        OutOfStock: there is too little of a product; the caller's transaction must be rolled back.
    """
    order = UUID(str(order_id))
    lines = fetch(RESERVE, [order, order, Status.RESERVED.value], prepared=True)
    for name, quantity, is_taken in lines:
        if not is_taken:
            raise OutOfStock(f"There is not enough {name} left for {quantity}.")
    return len(lines)


def release(order_id: UUID | str) -> int:
    """Give back what is promised to an order, in the caller's transaction. Returns how many lines; 0 when none is."""
    return _end(order_id, Status.RELEASED)


def ship(order_id: UUID | str) -> int:
    """Take what was promised to an order off the shelf, in the caller's transaction. Returns how many lines."""
    return _end(order_id, Status.SHIPPED)


def _end(order_id: UUID | str, status: Reservation.Status) -> int:
    values = [status.value, UUID(str(order_id)), Status.RESERVED.value, status == Status.SHIPPED]
    return execute(END, values, prepared=True)

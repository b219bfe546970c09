"""Stock moves: each is one statement for all lines of an order, and locks its products in one order, so that two orders
never deadlock. Moves of the same order come one after the other: its saga sees to that.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connection

from orders.exceptions import OutOfStock
from orders.models import Reservation

Status = Reservation.Status

RESERVE = """
WITH wanted AS (
    SELECT product_id, quantity FROM orders_orderline WHERE order_id = %(order)s
), locked AS MATERIALIZED (
    SELECT s.product_id, s.on_hand, s.reserved, w.quantity
    FROM orders_stock s JOIN wanted w USING (product_id) ORDER BY s.product_id FOR NO KEY UPDATE OF s
), taken AS (
    UPDATE orders_stock s SET on_hand = l.on_hand, reserved = l.reserved + l.quantity
    FROM locked l WHERE s.product_id = l.product_id AND l.on_hand - l.reserved >= l.quantity
    RETURNING s.product_id, l.quantity
), noted AS (
    INSERT INTO orders_reservation (order_id, product_id, quantity, status)
    SELECT %(order)s, product_id, quantity, %(reserved)s FROM taken
)
SELECT p.name, w.quantity, t.product_id IS NOT NULL
FROM wanted w JOIN orders_product p ON p.id = w.product_id LEFT JOIN taken t USING (product_id) ORDER BY p.sku
"""
"""What was read behind the lock is what there is, also where somebody has just changed it. The rows that UPDATE finds
are those of the statement's beginning, and PostgreSQL checks the constraints with their numbers: so both are set."""

END = """
WITH ended AS (
    UPDATE orders_reservation SET status = %(status)s WHERE order_id = %(order)s AND status = %(reserved)s
    RETURNING product_id, quantity
), locked AS MATERIALIZED (
    SELECT s.product_id, s.on_hand, s.reserved, e.quantity
    FROM orders_stock s JOIN ended e USING (product_id) ORDER BY s.product_id FOR NO KEY UPDATE OF s
)
UPDATE orders_stock s
SET reserved = l.reserved - l.quantity,
    on_hand = l.on_hand - CASE WHEN %(status)s = %(shipped)s THEN l.quantity ELSE 0 END
FROM locked l WHERE s.product_id = l.product_id
"""


def reserve(order_id: UUID | str) -> int:
    """Promise stock to each line of an order, in the caller's transaction. Returns how many lines.

    Raises:
        OutOfStock: there is too little of a product; the caller's transaction must be rolled back.
    """
    with connection.cursor() as cursor:
        cursor.execute(RESERVE, _given(order_id))
        lines = cursor.fetchall()
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
    with connection.cursor() as cursor:
        cursor.execute(END, {**_given(order_id), "status": status.value})
        return int(cursor.rowcount)


def _given(order_id: UUID | str) -> dict[str, Any]:
    return {
        "order": UUID(str(order_id)),
        "reserved": Status.RESERVED.value,
        "shipped": Status.SHIPPED.value,
    }

"""How the orders stand, by the database. Needs Django to be set up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection

from orders.models import Order
from orders.services.placing import SAGA
from outbox.saga.models import Saga

BY_STATUS = """
    SELECT o.status, s.status, count(*)
    FROM orders_order o JOIN saga_saga s ON s.definition = %s AND s.key = o.id::text
    WHERE o.id = ANY(%s)
    GROUP BY o.status, s.status
"""
RETRIES = """
    SELECT coalesce(sum(greatest(p.attempt - 1, 0)), 0)
    FROM saga_sagastep p JOIN saga_saga s ON s.id = p.saga_id
    WHERE s.definition = %s AND s.key = ANY(%s)
"""
TIMES = """
    SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - placed_at))
    FROM orders_order
    WHERE status = %s AND id = ANY(%s)
"""
REASONS = """
    SELECT reason, count(*) FROM orders_order
    WHERE reason <> '' AND id = ANY(%s)
    GROUP BY reason ORDER BY count(*) DESC, reason
"""


@dataclass(frozen=True)
class Standing:
    """How many orders, and how many of their sagas, are in which status; `retries`: repeated attempts."""

    orders: Counter[str] = field(default_factory=Counter)
    sagas: Counter[str] = field(default_factory=Counter)
    retries: int = 0

    @property
    def completed(self) -> int:
        """Orders that were shipped."""
        return self.sagas[Saga.Status.COMPLETED]

    @property
    def compensated(self) -> int:
        """Orders that were cancelled, with all undone."""
        return self.sagas[Saga.Status.COMPENSATED]

    @property
    def parked(self) -> int:
        """Orders that wait for a person: needs attention."""
        return self.sagas[Saga.Status.NEEDS_ATTENTION]

    @property
    def ended(self) -> int:
        """Orders that reached an end."""
        return self.completed + self.compensated + self.parked


def standing_of(ids: Sequence[UUID]) -> Standing:
    """Look at these orders. The parts are read one after the other, while work goes on."""
    orders: Counter[str] = Counter()
    sagas: Counter[str] = Counter()
    for order_status, saga_status, count in _fetch(BY_STATUS, SAGA, list(ids)):
        orders[order_status] += count
        sagas[saga_status] += count
    [(retries,)] = _fetch(RETRIES, SAGA, [str(id_) for id_ in ids])
    return Standing(orders, sagas, int(retries))


def seconds_to_shipped(ids: Sequence[UUID]) -> tuple[float, float] | None:
    """The times from order to shipped, by the database's clock: median, 95th percentile; None without any."""
    [(found,)] = _fetch(TIMES, Order.Status.SHIPPED, list(ids))
    return None if found is None else (float(found[0]), float(found[1]))


def reasons(ids: Sequence[UUID]) -> list[tuple[str, int]]:
    """Why orders were cancelled or need attention, the most frequent first."""
    return [(reason, count) for reason, count in _fetch(REASONS, list(ids))]


def unended(ids: Sequence[UUID]) -> list[Order]:
    """The orders that have not reached an end."""
    ends = (*Order.ENDED, Order.Status.NEEDS_ATTENTION)
    return list(Order.objects.filter(id__in=ids).exclude(status__in=ends).order_by("id"))


def _fetch(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())

"""What happens to orders, as facts. Ids and amounts only: no personal data travels in an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from outbox.api import event

LATER = 6
"""The priority of what tells of an order, such as letters: behind the steps of all orders, which have the middle."""


@event("orders.order_placed")
@dataclass(frozen=True)
class OrderPlaced:
    """A customer placed an order; its fulfilment has begun."""

    order_id: UUID
    total: Decimal
    currency: str


@event("orders.order_paid")
@dataclass(frozen=True)
class OrderPaid:
    """The payment provider took the money."""

    order_id: UUID
    amount: Decimal
    currency: str


@event("orders.order_shipped")
@dataclass(frozen=True)
class OrderShipped:
    """The carrier has the parcel: the order is done."""

    order_id: UUID
    total: Decimal
    currency: str
    shipped_at: datetime


@event("orders.order_cancelled")
@dataclass(frozen=True)
class OrderCancelled:
    """The order will not be fulfilled, and whatever had been done for it is undone."""

    order_id: UUID
    reason: str

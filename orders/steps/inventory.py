"""The inventory step: our own stock, so each direction is one transaction with its record."""

from __future__ import annotations

from typing import Any

from orders.models import Order
from orders.services import stock
from orders.services.status import change_status
from outbox.saga.api import StepCall


def reserve(call: StepCall) -> dict[str, Any]:
    """Promise the stock to the order."""
    lines = stock.reserve(call.key)
    change_status(call.key, Order.Status.RESERVED)
    return {"lines": lines}


def release(call: StepCall) -> dict[str, Any]:
    """Give the stock back."""
    return {"lines": stock.release(call.key)}

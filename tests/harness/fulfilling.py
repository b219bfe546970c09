"""Moves an order's saga on, as a worker would, with the outside world's answers given by the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orders.fulfilment import fulfilment
from orders.models import Order
from orders.services.placing import SAGA
from orders.steps import inventory, payment, shipping
from outbox.saga import engine
from outbox.saga.api import StepCall
from outbox.saga.models import Saga
from outbox.saga.turn import turn

TRACKING_NUMBER = "TDK000000000000042"
SHIPPED = {"carrier_id": "sh_1", "tracking_number": TRACKING_NUMBER}

Effect = Callable[[StepCall, Order], Mapping[str, Any] | None]
EFFECTS: dict[tuple[str, str], Effect] = {
    ("inventory", "action"): lambda call, _: inventory.reserve(call),
    ("inventory", "compensation"): lambda call, _: inventory.release(call),
    ("payment", "action"): lambda call, order: payment.record_charge(
        call, {"provider_id": "ch_1", "amount": str(order.total), "currency": order.currency}
    ),
    ("payment", "compensation"): lambda call, _: payment.record_refund(call, {}),
    ("shipping", "action"): lambda call, _: shipping.record_shipment(call, SHIPPED),
    ("shipping", "compensation"): lambda call, _: shipping.record_cancellation(call, {}),
}


def saga_of(order: Order) -> Saga:
    """The order's saga."""
    return Saga.objects.get(definition=SAGA, key=str(order.id))


def begin(order: Order, step: str, direction: str = "action") -> None:
    """A worker starts an attempt of a step, and is at work from then on."""
    with turn(saga_of(order).id, "test") as t:
        assert t is not None
        row = t.step(step, direction)
        assert row is not None
        assert engine.begin(t, row, fulfilment.by_name[step])


def end(order: Order, step: str, direction: str = "action", *, error: Exception | None = None) -> None:
    """The attempt at work ends, well or with an error."""
    with turn(saga_of(order).id, "test") as t:
        assert t is not None
        row = t.step(step, direction)
        assert row is not None
        if error is not None:
            engine.fail(t, row, fulfilment.by_name[step], error)
            return
        key = f"{t.saga.id}:{step}"
        call = StepCall(
            t.saga.id, t.saga.key, t.saga.context, f"{key}:{direction}", f"{key}:action", row.attempt
        )
        engine.succeed(t, row, EFFECTS[step, direction](call, order) or {})


def attempt(order: Order, step: str, direction: str = "action", *, error: Exception | None = None) -> None:
    """One whole attempt of a step."""
    begin(order, step, direction)
    end(order, step, direction, error=error)


def ship(order: Order) -> None:
    """All that a good day brings."""
    for step in fulfilment.steps:
        attempt(order, step.name)

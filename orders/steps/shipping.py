"""The shipping step, the saga's pivot: once the carrier has the parcel there is no way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from django.utils import timezone

from orders.events import LATER, OrderShipped
from orders.gateways import carrier, ports
from orders.gateways.ports import CancellationRequest, ShipmentRequest, ShipmentState
from orders.models import Order, Shipment
from orders.services import records, stock
from orders.services.status import change_status
from outbox.api import current_context, publish
from outbox.saga.api import DID_NOT_HAPPEN, NOT_KNOWN, Happened, StepCall, Verdict


def create(call: StepCall) -> dict[str, Any]:
    """Hand the parcel over."""
    delivery = records.delivery(call.key)
    request = ShipmentRequest(key=call.idempotency_key, reference=call.key, **vars(delivery))
    return _kept(carrier().create_shipment(request, traceparent=current_context().traceparent or None))


def find_shipment(call: StepCall) -> Happened | Verdict:
    """What became of a shipment whose answer is missing. One that is unknown may still be on its way."""
    found = carrier().find(call.idempotency_key, traceparent=current_context().traceparent or None)
    if found is None:
        return NOT_KNOWN
    return Happened(_kept(found)) if found.state == ShipmentState.CREATED else DID_NOT_HAPPEN


def record_shipment(call: StepCall, result: Mapping[str, Any]) -> None:
    """The parcel is on its way: the stock has left the house, the order is done."""
    records.keep_shipment(
        call.key,
        carrier_id=result["carrier_id"],
        tracking_number=result["tracking_number"],
        key=call.idempotency_key,
    )
    stock.ship(call.key)
    total, currency = change_status(call.key, Order.Status.SHIPPED)
    publish(OrderShipped(UUID(call.key), total, currency, timezone.now()), priority=LATER)


def cancel(call: StepCall) -> dict[str, Any]:
    """Take the parcel back, or keep a shipment that may still be on its way from happening."""
    request = CancellationRequest(key=call.idempotency_key, reference=call.key, shipment_key=call.action_key)
    answer = carrier().cancel_shipment(request, traceparent=current_context().traceparent or None)
    return {"carrier_id": answer.id, "cancelled": answer.cancelled}


def record_cancellation(call: StepCall, result: Mapping[str, Any]) -> None:  # noqa: ARG001  (a step's signature)
    """Nothing will be delivered."""
    created = Shipment.objects.filter(order_id=call.key, status=Shipment.Status.CREATED)
    created.update(status=Shipment.Status.CANCELLED, cancelled_at=Now())


def _kept(shipment: ports.Shipment) -> dict[str, Any]:
    return {"carrier_id": shipment.id, "tracking_number": shipment.tracking_number}

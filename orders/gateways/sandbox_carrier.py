"""The carrier of the sandbox, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orders.gateways.answers import Answer, understood
from orders.gateways.errors import GatewayRefused, ShipmentRefused
from orders.gateways.ports import (
    Cancellation,
    CancellationRequest,
    Shipment,
    ShipmentRequest,
    ShipmentState,
)
from orders.gateways.service import JsonService, ServiceConfig


class SandboxCarrier:
    """A ``Carrier``. Threads may share it, and it may be made before a fork."""

    def __init__(self, config: ServiceConfig) -> None:
        self._service = JsonService(config)

    def create_shipment(self, request: ShipmentRequest, *, traceparent: str | None = None) -> Shipment:
        """Hand the order over, once per key. Raises ShipmentRefused, or any other GatewayError."""
        body = {
            "reference": request.reference,
            "recipient": request.recipient,
            "address": request.address,
            "postcode": request.postcode,
            "city": request.city,
            "country": request.country,
        }
        answer = self._service.post("/carrier/shipments", body, key=request.key, traceparent=traceparent)
        if not answer.ok:
            raise _refusal(answer)
        return understood(_shipment, answer.body)

    def cancel_shipment(
        self, request: CancellationRequest, *, traceparent: str | None = None
    ) -> Cancellation:
        """Take the order back, once per shipment. Raises GatewayUnavailable or GatewayMisused."""
        body = {"shipment_key": request.shipment_key, "reference": request.reference}
        answer = self._service.post("/carrier/cancellations", body, key=request.key, traceparent=traceparent)
        if not answer.ok:
            raise answer.misuse()
        return understood(_cancellation, answer.body)

    def find(self, shipment_key: str, *, traceparent: str | None = None) -> Shipment | None:
        """The shipment with this idempotency key, or None. Raises GatewayUnavailable or GatewayMisused."""
        answer = self._service.get("/carrier/shipments", shipment_key, traceparent=traceparent)
        if answer.status == 404 and answer.code == "not_found":
            return None
        if not answer.ok:
            raise answer.misuse()
        return understood(_found, answer.body)

    def close(self) -> None:
        """Close this process's connections."""
        self._service.close()


def _refusal(answer: Answer) -> Exception:
    if answer.status == 422 and answer.code == "address_refused":
        return ShipmentRefused(answer.code, "We cannot deliver to this address.")
    if answer.status == 409 and answer.code == "voided":
        return GatewayRefused("voided", "This shipment was cancelled.")
    return answer.misuse()


def _shipment(body: Mapping[str, Any]) -> Shipment:
    return _found({**body, "state": body["status"]})


def _found(body: Mapping[str, Any]) -> Shipment:
    return Shipment(
        id=body["id"],
        state=ShipmentState(body["state"]),
        reference=body["reference"],
        tracking_number=body["tracking_number"],
    )


def _cancellation(body: Mapping[str, Any]) -> Cancellation:
    return Cancellation(body["id"], {"cancelled": True, "nothing_to_cancel": False}[body["status"]])

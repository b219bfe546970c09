"""What the shop needs of a payment provider and of a carrier, whoever they are.

Every request carries an idempotency ``key``: repeated with the same key it acts once and gives the same
answer. Every method may raise any error of ``orders.gateways.errors``. ``traceparent`` is a W3C trace context
header to pass on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class ChargeState(StrEnum):
    """Where a charge stands at the provider; *voided* was refunded before it came, and will never come."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    REFUNDED = "refunded"
    VOIDED = "voided"


class ShipmentState(StrEnum):
    """Where a shipment stands at the carrier; *voided* was cancelled before it came, and will never come."""

    CREATED = "created"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """Take ``amount`` (positive, at most two decimals) of ``currency`` (ISO 4217) from the card behind a
    token.

    ``reference`` is the order's id: it is how the provider's ledger and ours are compared.
    """

    key: str
    reference: str
    amount: Decimal
    currency: str
    card: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Give back whatever the charge with ``charge_key`` took, or keep it from happening."""

    key: str
    reference: str
    charge_key: str


@dataclass(frozen=True, slots=True)
class ShipmentRequest:
    """Send an order to an address (kept out of logs); ``country`` is an ISO 3166 two-letter code."""

    key: str
    reference: str
    recipient: str = field(repr=False)
    address: str = field(repr=False)
    postcode: str = field(repr=False)
    city: str = field(repr=False)
    country: str


@dataclass(frozen=True, slots=True)
class CancellationRequest:
    """Cancel the shipment with ``shipment_key``, or keep it from happening."""

    key: str
    reference: str
    shipment_key: str


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as the provider knows it. A voided one has no amount and no currency."""

    id: str
    state: ChargeState
    reference: str
    amount: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Refund:
    """The outcome of a refund: ``refunded`` is False when there was nothing to give back."""

    id: str
    refunded: bool


@dataclass(frozen=True, slots=True)
class Shipment:
    """A shipment as the carrier knows it. A refused or voided one has no tracking number."""

    id: str
    state: ShipmentState
    reference: str
    tracking_number: str | None


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The outcome of a cancellation: ``cancelled`` is False when there was nothing to cancel."""

    id: str
    cancelled: bool


class PaymentGateway(Protocol):
    """A payment provider."""

    def charge(self, request: ChargeRequest, *, traceparent: str | None = None) -> Charge:
        """Take the money. Raises PaymentDeclined when the card says no."""
        ...

    def refund(self, request: RefundRequest, *, traceparent: str | None = None) -> Refund:
        """Give the money back, or void a charge that may still be on its way. Never declined."""
        ...

    def find(self, charge_key: str, *, traceparent: str | None = None) -> Charge | None:
        """The charge as it stands now, or None when the provider never heard of the key."""
        ...


class Carrier(Protocol):
    """A carrier."""

    def create_shipment(self, request: ShipmentRequest, *, traceparent: str | None = None) -> Shipment:
        """Hand the order over. Raises ShipmentRefused when the carrier does not go there."""
        ...

    def cancel_shipment(
        self, request: CancellationRequest, *, traceparent: str | None = None
    ) -> Cancellation:
        """Take the order back, or void a shipment that may still be on its way. Never refused."""
        ...

    def find(self, shipment_key: str, *, traceparent: str | None = None) -> Shipment | None:
        """The shipment as it stands now, or None when the carrier never heard of the key."""
        ...

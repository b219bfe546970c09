"""The payment provider of the sandbox, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from orders.gateways.answers import Answer, understood
from orders.gateways.errors import GatewayRefused, PaymentDeclined
from orders.gateways.ports import Charge, ChargeRequest, ChargeState, Refund, RefundRequest
from orders.gateways.service import JsonService, ServiceConfig

_DECLINES = {
    "card_declined": "Your card was declined. Please use another card.",
    "insufficient_funds": "Your card does not have enough funds. Please use another card.",
    "card_expired": "Your card has expired. Please use another card.",
}


class SandboxPaymentGateway:
    """A ``PaymentGateway``. Threads may share it, and it may be made before a fork."""

    def __init__(self, config: ServiceConfig) -> None:
        self._service = JsonService(config)

    def charge(self, request: ChargeRequest, *, traceparent: str | None = None) -> Charge:
        """Take the money, once per key. Raises PaymentDeclined, or any other GatewayError."""
        body = {
            "amount": format(request.amount, "f"),
            "currency": request.currency,
            "card": request.card,
            "reference": request.reference,
        }
        answer = self._service.post("/payments/charges", body, key=request.key, traceparent=traceparent)
        if not answer.ok:
            raise _refusal(answer)
        return understood(_charge, answer.body)

    def refund(self, request: RefundRequest, *, traceparent: str | None = None) -> Refund:
        """Give the money back, once per charge. Raises GatewayUnavailable or GatewayMisused."""
        body = {"charge_key": request.charge_key, "reference": request.reference}
        answer = self._service.post("/payments/refunds", body, key=request.key, traceparent=traceparent)
        if not answer.ok:
            raise answer.misuse()
        return understood(_refund, answer.body)

    def find(self, charge_key: str, *, traceparent: str | None = None) -> Charge | None:
        """The charge with this idempotency key, or None. Raises GatewayUnavailable or GatewayMisused."""
        answer = self._service.get("/payments/charges", charge_key, traceparent=traceparent)
        if answer.status == 404 and answer.code == "not_found":
            return None
        if not answer.ok:
            raise answer.misuse()
        return understood(_found, answer.body)

    def close(self) -> None:
        """Close this process's connections."""
        self._service.close()


def _refusal(answer: Answer) -> Exception:
    if answer.status == 402:
        return PaymentDeclined(answer.code, _DECLINES.get(answer.code, "Your payment was declined."))
    if answer.status == 409 and answer.code == "voided":
        return GatewayRefused("voided", "This payment was cancelled.")
    return answer.misuse()


def _charge(body: Mapping[str, Any]) -> Charge:
    return _found({**body, "state": body["status"]})


def _found(body: Mapping[str, Any]) -> Charge:
    amount = None if body["amount"] is None else Decimal(body["amount"])
    if amount is not None and not amount.is_finite():
        raise ValueError(f"{amount} is no amount")
    return Charge(
        id=body["id"],
        state=ChargeState(body["state"]),
        reference=body["reference"],
        amount=amount,
        currency=body["currency"],
    )


def _refund(body: Mapping[str, Any]) -> Refund:
    return Refund(body["id"], {"refunded": True, "nothing_to_refund": False}[body["status"]])

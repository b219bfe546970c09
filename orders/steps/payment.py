"""The payment step: charge through the gateway, refund as the undo."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from orders.events import LATER, OrderPaid
from orders.gateways import payment_gateway
from orders.gateways.ports import Charge, ChargeRequest, ChargeState, RefundRequest
from orders.models import Order, Payment
from orders.services import records
from orders.services.status import change_status
from outbox.api import current_context, publish
from outbox.saga.api import DID_NOT_HAPPEN, NOT_KNOWN, Happened, StepCall, Verdict


def charge(call: StepCall) -> dict[str, Any]:
    """Take the money."""
    due = records.due(call.key)
    request = ChargeRequest(
        key=call.idempotency_key, reference=call.key, amount=due.total, currency=due.currency, card=due.card
    )
    return _kept(payment_gateway().charge(request, traceparent=current_context().traceparent or None))


def find_charge(call: StepCall) -> Happened | Verdict:
    """What became of a charge whose answer is missing. One that is unknown may still be on its way."""
    found = payment_gateway().find(call.idempotency_key, traceparent=current_context().traceparent or None)
    if found is None:
        return NOT_KNOWN
    return Happened(_kept(found)) if found.state == ChargeState.SUCCEEDED else DID_NOT_HAPPEN


def record_charge(call: StepCall, result: Mapping[str, Any]) -> None:
    """The payment is ours: write it down and tell everybody."""
    amount, currency = Decimal(result["amount"]), result["currency"]
    records.keep_payment(
        call.key,
        amount=amount,
        currency=currency,
        provider_id=result["provider_id"],
        key=call.idempotency_key,
    )
    change_status(call.key, Order.Status.PAID)
    publish(OrderPaid(UUID(call.key), amount, currency), priority=LATER)


def refund(call: StepCall) -> dict[str, Any]:
    """Give the money back, or keep a charge that may still be on its way from happening."""
    request = RefundRequest(key=call.idempotency_key, reference=call.key, charge_key=call.action_key)
    answer = payment_gateway().refund(request, traceparent=current_context().traceparent or None)
    return {"provider_id": answer.id, "refunded": answer.refunded}


def record_refund(call: StepCall, result: Mapping[str, Any]) -> None:  # noqa: ARG001  (a step's signature)
    """The money is back. There is no payment of ours where the charge was never confirmed."""
    charged = Payment.objects.filter(order_id=call.key, status=Payment.Status.CHARGED)
    charged.update(status=Payment.Status.REFUNDED, refunded_at=Now())


def _kept(charge: Charge) -> dict[str, Any]:
    return {"provider_id": charge.id, "amount": str(charge.amount), "currency": charge.currency}

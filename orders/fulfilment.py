"""The fulfilment of an order: inventory → payment → shipping, and the way back."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from orders.events import OrderCancelled
from orders.exceptions import OutOfStock
from orders.gateways.errors import GatewayMisused, GatewayRefused
from orders.models import Order
from orders.services.placing import SAGA
from orders.services.status import change_status
from orders.steps import inventory, payment, shipping
from outbox.api import RetryPolicy, publish
from outbox.saga.api import SagaDefinition, Step, local, register, remote
from outbox.saga.models import SagaStep

FEW_MINUTES = RetryPolicy(max_attempts=10, initial=1.0, factor=2.0, cap=60.0, jitter=0.2)
OUR_FAULT = "Something went wrong on our side."


def _cancelling(saga_id: UUID, key: str, reason: str) -> None:
    change_status(key, Order.Status.CANCELLING, reason=_for_customers(saga_id, reason))


def _cancelled(saga_id: UUID, key: str, reason: str) -> None:
    told = _for_customers(saga_id, reason)
    order = change_status(key, Order.Status.CANCELLED, reason=told)
    publish(OrderCancelled(order.id, told))


def _needs_attention(_: UUID, key: str, reason: str) -> None:
    change_status(key, Order.Status.NEEDS_ATTENTION, reason=reason)


def _for_customers(saga_id: UUID, reason: str) -> str:
    """An error that has no words for customers is told by its own text, which is for operators: not in letters."""
    is_technical = SagaStep.objects.filter(saga_id=saga_id, last_error=reason).exists()
    return OUR_FAULT if is_technical else reason


fulfilment = register(
    SagaDefinition(
        SAGA,
        steps=[
            Step(
                "inventory",
                action=local(inventory.reserve),
                compensation=local(inventory.release),
                queue="inventory",
                timeout=settings.STEP_TIMEOUT_SECONDS,
                retry=FEW_MINUTES,
                non_retryable=(OutOfStock,),
            ),
            Step(
                "payment",
                action=remote(payment.charge, payment.record_charge),
                compensation=remote(payment.refund, payment.record_refund),
                queue="payment",
                timeout=settings.STEP_TIMEOUT_SECONDS,
                retry=FEW_MINUTES,
                non_retryable=(GatewayRefused, GatewayMisused),
            ),
            Step(
                "shipping",
                action=remote(shipping.create, shipping.record_shipment),
                compensation=remote(shipping.cancel, shipping.record_cancellation),
                queue="shipping",
                timeout=settings.STEP_TIMEOUT_SECONDS,
                retry=FEW_MINUTES,
                non_retryable=(GatewayRefused, GatewayMisused),
                pivot=True,
            ),
        ],
        deadline=24 * 3600.0,
        on_compensating=_cancelling,
        on_compensated=_cancelled,
        on_parked=_needs_attention,
    )
)

"""The fulfilment of an order: inventory → payment → shipping, and the way back."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from orders.events import LATER, OrderCancelled
from orders.exceptions import OutOfStock
from orders.gateways.dependencies import CARRIER, PAYMENT
from orders.gateways.errors import GatewayMisused, GatewayRefused
from orders.models import Order
from orders.services.placing import SAGA
from orders.services.status import change_status
from orders.steps import inventory, payment, shipping
from outbox.api import RetryPolicy, publish
from outbox.saga.api import SagaDefinition, Step, local, register, remote

FEW_MINUTES = RetryPolicy(max_attempts=10, initial=1.0, factor=2.0, cap=60.0, jitter=0.2)


def _cancelling(_: UUID, key: str, reason: str) -> None:
    change_status(key, Order.Status.CANCELLING, reason=reason)


def _cancelled(_: UUID, key: str, reason: str) -> None:
    change_status(key, Order.Status.CANCELLED, reason=reason)
    publish(OrderCancelled(UUID(key), reason), priority=LATER)


def _needs_attention(_: UUID, key: str, __: str) -> None:
    change_status(key, Order.Status.NEEDS_ATTENTION)  # why is for operators, and stands with the saga


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
                reconcile=payment.find_charge,
                queue="payment",
                dependency=PAYMENT,
                timeout=settings.STEP_TIMEOUT_SECONDS,
                retry=FEW_MINUTES,
                non_retryable=(GatewayRefused, GatewayMisused),
            ),
            Step(
                "shipping",
                action=remote(shipping.create, shipping.record_shipment),
                compensation=remote(shipping.cancel, shipping.record_cancellation),
                reconcile=shipping.find_shipment,
                queue="shipping",
                dependency=CARRIER,
                timeout=settings.STEP_TIMEOUT_SECONDS,
                retry=FEW_MINUTES,
                non_retryable=(GatewayRefused, GatewayMisused),
                pivot=True,
            ),
        ],
        deadline=24 * 3600.0,
        unexplained="Something went wrong on our side.",
        on_compensating=_cancelling,
        on_compensated=_cancelled,
        on_parked=_needs_attention,
    )
)

"""Rows for tests of the console, in whatever state a test needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.utils import timezone

from orders.models import Order
from orders.services.status import change_status
from outbox.models import Attempt, Message
from outbox.saga import engine, operations
from outbox.saga.models import Saga, SagaStep
from outbox.saga.turn import turn
from tests.harness.shop import order, product

PAID = {"order_id": "01a1ff76-8e54-743e-aae9-8cf167713177", "amount": "47.00", "currency": "EUR"}


def states() -> dict[str, dict[str, Any]]:
    """The columns of a message in each state that the console tells apart."""
    now = timezone.now()
    sent = {"status": "sent", "sent_at": now, "attempts": 1}
    return {
        "pending": {},
        "retrying": {"attempts": 3, "last_error": "SMTPServerDisconnected: gone"},
        "processing": {
            "status": "processing",
            "lock_id": uuid4(),
            "locked_until": now + timedelta(minutes=1),
        },
        "unconsumed": {**sent, "locked_until": now + timedelta(minutes=1)},
        "running": {
            **sent,
            "started_at": now,
            "lock_id": uuid4(),
            "locked_until": now + timedelta(minutes=1),
        },
        "consumed": {**sent, "consumed_at": now},
        "dead": {"status": "failed", "attempts": 8, "last_error": "KeyError: 'order_id'"},
        "discarded": {"status": "failed", "attempts": 8, "discarded_at": now},
    }


def message(state: str = "pending", **columns: Any) -> Message:
    """A message in one of these states."""
    basic = {"type": "orders.order_paid", "consumer": "orders.email_order_paid", "payload": PAID}
    return Message.objects.create(**{**basic, **states()[state], **columns})


def dead(count: int = 1, *, errors: int = 0) -> list[Message]:
    """Dead letters, each with so many failed attempts."""
    made = [message("dead") for _ in range(count)]
    Attempt.objects.bulk_create(
        Attempt(message=m, number=n + 1, stage="consume", error=f"KeyError: {n}", worker="celery@one")
        for m in made
        for n in range(errors)
    )
    return made


def saga() -> Saga:
    """The saga of a newly placed order, whose first step is scheduled."""
    product()
    return Saga.objects.get(key=str(order().pk))


def parked_saga() -> Saga:
    """A saga that stopped at its first step and waits for a person."""
    made = saga()
    with turn(made.id, "watchdog") as t:
        assert t is not None
        engine.park(t, "The message of inventory failed.")
    made.refresh_from_db()
    return made


def paused_saga() -> Saga:
    """A saga that a person holds."""
    made = saga()
    operations.pause(made.id, actor="olga", reason="Wait.")
    return made


def step_back(made: Saga, error: Exception) -> None:
    """Let the saga's first step fail once, in a worker."""
    with turn(made.id, "celery@one") as t:
        assert t is not None
        row, step = t.step("inventory", "action"), t.definition.by_name["inventory"]
        assert row is not None
        engine.begin(t, row, step)
        engine.fail(t, row, step, error)


def sagas_in_all_states() -> list[Saga]:
    """A saga in each state, with a step in each state."""
    made = []
    for status in Saga.Status:
        one = saga()
        ended = timezone.now() if status in Saga.ENDED else None
        Saga.objects.filter(pk=one.pk).update(status=status, ended_at=ended, reason="Why it is so.")
        made.append(one)
    for one, status in zip(made * 2, SagaStep.Status, strict=False):
        running = status in SagaStep.OPEN
        SagaStep.objects.create(
            saga=one,
            name=f"step-{status}",
            direction="compensation",
            position=1,
            status=status,
            message_id=None if status == SagaStep.Status.WAITING else uuid4(),
            locked_until=timezone.now() if status in ("running", "waiting") else None,
            ended_at=None if running else timezone.now(),
            result={"lines": 1} if status == SagaStep.Status.SUCCEEDED else None,
            last_error="It broke." if status == SagaStep.Status.FAILED else "",
        )
    return made


def shipped_order() -> Order:
    """An order with its reservation, payment and shipment, as the fulfilment leaves them."""
    product()
    with transaction.atomic():
        made = order()
        line = made.lines.get()
        made.reservations.create(product=line.product, quantity=line.quantity, status="shipped")
        made.payments.create(amount=made.total, currency="EUR", provider_id="pay_1", idempotency_key="k1")
        made.shipments.create(carrier_id="shp_1", tracking_number="TRK-1", idempotency_key="k2")
        for status in (Order.Status.RESERVED, Order.Status.PAID, Order.Status.SHIPPED):
            change_status(made.pk, status)
    made.refresh_from_db()
    return made


def said(response: Any) -> list[str]:
    """What the page tells the user, from the messages framework."""
    return [str(m) for m in response.context["messages"]]


def entries(user: AbstractUser) -> list[tuple[str, str]]:
    """The user's audit entries: object's id and what was said."""
    from django.contrib.admin.models import LogEntry

    return list(LogEntry.objects.filter(user=user).values_list("object_id", "change_message"))

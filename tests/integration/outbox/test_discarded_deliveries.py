"""Deliveries that a worker throws away or that were forged: they end no other one's work."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from celery.app.task import Context
from django.db import transaction

from outbox import claims, consumption
from outbox.celery import delivery_of
from outbox.models import Message, Status
from outbox.tasks import call_off_revoked
from tests.harness.concurrent import in_background
from tests.harness.waiting import wait_until
from tests.integration.outbox import sample
from tests.integration.outbox.delivering import (
    BEHAVIOUR,
    by_hand,
    deliver,
    leased,
    raising,
    run,
    transactional,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_revoked_message_is_closed() -> None:
    """What a worker threw away unseen is not sent for ever: revoked, or expired."""
    result = leased.delay()
    claims.claim(1)
    call_off_revoked(request=arrived(result.id), expired=False, terminated=False, signum=None)
    row = Message.objects.get(pk=UUID(result.id))
    assert (row.status, row.last_error) == (Status.FAILED, "Revoked.")
    assert row.discarded_at is not None


def arrived(id_: str, attempt: int = 1) -> Context:
    """The request of a delivery, as a worker's main process has it."""
    return Context(id=id_, headers={"outbox_attempt": attempt}, hostname="worker-1")


def test_a_discarded_duplicate_does_not_close_the_run_at_work() -> None:
    """The other copy has been taken up: its outcome counts."""
    result = leased.delay()

    def behave(_: Any) -> str:
        call_off_revoked(request=arrived(result.id), expired=True)
        return "done"

    assert run(behave) == "done"
    assert Message.objects.get().consumed_at is not None


@pytest.mark.parametrize("attempt", [0, 1, 2])
def test_a_forged_delivery_that_expired_closes_no_row_that_waits(attempt: int) -> None:
    """No row, no work, and no end either."""
    result = leased.apply_async(countdown=3600)
    call_off_revoked(request=arrived(result.id, attempt), expired=True)
    assert Message.objects.get().status == Status.PENDING


def test_a_discarded_copy_does_not_wait_for_the_one_at_work() -> None:
    """The main process has other children to serve."""
    result = transactional.delay()
    claims.claim(1)
    with transaction.atomic():
        assert consumption.consume(UUID(result.id), 1)
        discarding = in_background(lambda: call_off_revoked(request=arrived(result.id), expired=True))
        assert discarding.result(timeout=5) is None
    assert Message.objects.get().consumed_at is not None


def test_a_run_that_was_killed_is_closed() -> None:
    """Revoked while at work: the end of its lease would bring it back."""
    result = leased.delay()
    claims.claim(1)
    assert consumption.take_lease(UUID(result.id), 1, 300, worker="worker-1")
    call_off_revoked(request=arrived(result.id), terminated=True)
    wait_until(lambda: Message.objects.get().discarded_at, "the row to be closed")


@pytest.mark.parametrize("task", [leased, transactional, by_hand], ids=["leased", "transactional", "manual"])
def test_a_delivery_forged_for_another_task_does_nothing(task: Any) -> None:
    """It neither runs, nor consumes, nor fails the row that it names: that one is addressed to another."""
    sample.add.delay(1)
    (claimed,) = claims.claim(1).messages
    ran: list[Any] = []
    BEHAVIOUR["now"] = lambda t, *_: consumption.consume(*delivery_of(t)) and ran.append("ran")
    deliver(claimed._replace(consumer=task.name))
    BEHAVIOUR["now"] = raising(ValueError("on purpose"))
    deliver(claimed._replace(consumer=task.name))
    row = Message.objects.get()
    assert (row.status, row.consumed_at, ran) == (Status.PROCESSING, None, [])

"""How hard a service may be used: at the same time, by key, in a second. Driven without a broker."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import Retry
from django.db import connection, transaction
from django.db.models.functions import Now

from outbox.saga.api import Limit
from outbox.saga.dependencies import limits
from outbox.saga.dependencies.models import DependencyWait, Slot
from outbox.saga.models import Saga
from tests.integration.saga.conftest import Killed, World, deliver, end_leases, raising, sent
from tests.integration.saga.conftest import step as deliver_due
from tests.integration.saga.services import begin, row, wait_of

pytestmark = pytest.mark.usefixtures("transactional_db", "world")


def test_no_more_at_the_same_time_than_slots(world: World) -> None:
    """Two of the service, one of a key; who waits is woken when a slot is free."""
    first, same_key, second, third = begin("store", "x1", "x2", "y1", "z1")
    messages = sorted(sent(), key=lambda message: message.correlation_id)
    inner = iter(messages[1:])

    def meanwhile(_: Any) -> None:
        world.faults.clear()
        assert isinstance(deliver(next(inner)), Retry)  # the key's slot is taken
        world.faults["store"] = lambda _: check(deliver(next(inner)))
        assert deliver(next(inner)) is None

    def check(told: Any) -> None:
        assert isinstance(told, Retry)  # both slots of the service are taken

    world.faults["store"] = meanwhile
    assert deliver(messages[0]) is None
    assert [row(s).status for s in (first, same_key, second, third)] == [
        "succeeded",
        "scheduled",
        "succeeded",
        "scheduled",
    ]
    assert min(wait_of(same_key), wait_of(third)) <= 0  # woken
    world.faults.clear()
    deliver_due()
    assert {row(s).status for s in (same_key, third)} == {"succeeded"}
    assert not Slot.objects.filter(holder__isnull=False).exists()


def test_a_dead_workers_slot_returns(world: World) -> None:
    """Its lease runs out with the attempt's."""
    begin("store", "a1", "b1", "c1")
    world.faults["store"] = raising(Killed(), times=2)
    messages = sent()
    for message in messages[:2]:
        with pytest.raises(Killed):
            deliver(message)
    assert isinstance(deliver(messages[2]), Retry)
    Slot.objects.update(held_until=Now() - timedelta(seconds=1))
    end_leases()
    deliver_due()
    assert row(Saga.objects.get(key="c1")).status == "succeeded"


def test_begins_no_faster_than_the_rate(world: World) -> None:
    """The first at once, the others five seconds apart, each at a place of its own that it keeps."""
    sagas = begin("print", *(f"k{n}" for n in range(6)))
    began = time.monotonic()
    deliver_due()
    assert len(world.calls) == 1
    waits = sorted(wait_of(saga) for saga in sagas[1:])
    assert [round(b - a, 1) for a, b in pairwise(waits)] == [5.0] * 4
    deliver_due()  # too early for most: the places stay
    assert len(world.calls) <= 1 + (time.monotonic() - began) / 5
    DependencyWait.objects.update(ticket_at=Now())
    deliver_due()
    assert len(world.calls) == 6


def test_many_at_once_get_no_more_slots_than_there_are() -> None:
    """Twelve at the same moment, each with a connection of its own, on a service that nobody has used yet."""
    together = Barrier(12)

    def take(_: int) -> bool:
        together.wait()
        try:
            with transaction.atomic():
                return limits.take_slots("vault", [("", Limit(concurrency=3))], uuid4(), 30)
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        assert 1 <= sum(pool.map(take, range(12))) <= 3
    assert Slot.objects.filter(holder__isnull=False).count() <= 3


def test_a_limit_that_is_lowered_counts_at_once() -> None:
    """Slots beyond the limit are not given away any more."""
    assert limits.take_slots("vault", [("", Limit(concurrency=2))], uuid4(), 30)
    assert not limits.take_slots("vault", [("", Limit(concurrency=1))], uuid4(), 30)

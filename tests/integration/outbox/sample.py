"""Events, subscribers and tasks that the tests publish and call."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from celery import shared_task
from django.db import connection

from outbox.api import RetryPolicy, event, subscribe

logger = logging.getLogger(__name__)


@event("sample.thing_happened")
@dataclass(frozen=True)
class ThingHappened:
    thing_id: UUID
    amount: Decimal
    at: datetime


@event("sample.nobody_cares")
@dataclass(frozen=True)
class NobodyCares:
    number: int


@event("sample.optional", optional=True)
@dataclass(frozen=True)
class Optional:
    number: int


@event("sample.moved", ordered_by="thing", when_failed="pass")
@dataclass(frozen=True)
class Moved:
    thing: int
    place: str


@event("sample.measured")
@dataclass(frozen=True)
class Measured:
    value: float


@subscribe(Moved)
def follow(event: Moved) -> None:
    """Wants them in order."""


@subscribe(Measured)
def read_off(event: Measured) -> None:
    """Wants a number."""


@subscribe(ThingHappened, retry=RetryPolicy(max_attempts=3, initial=1, jitter=0))
def first_subscriber(event: ThingHappened) -> None:
    """One of two."""


@subscribe(ThingHappened)
def second_subscriber(event: ThingHappened) -> None:
    """The other."""


@shared_task(name="sample.add")
def add(a: int, b: int = 0) -> int:
    """An ordinary Celery task."""
    return a + b


@shared_task(name="sample.undurable", durable=False)
def undurable() -> None:
    """A task that opted out."""


@shared_task(name="sample.total")
def total(numbers: list[int]) -> int:
    """The body of a chord."""
    return sum(numbers)


@shared_task(name="sample.who_serves", ignore_result=True)
def who_serves() -> None:
    """Logs which of the server's processes serves this task."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        logger.warning("served by %s", *cursor.fetchone())

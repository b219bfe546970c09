"""Tasks and subscribers that hand on, loaded by a real worker: an event, then a task, then an event again."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass

from celery import shared_task
from django.contrib.auth.models import Group
from django.db import transaction

from outbox.api import current_context, event, publish, subscribe

logger = logging.getLogger(__name__)


@event("tracing.begun")
@dataclass(frozen=True)
class Begun:
    name: str


@event("tracing.ended")
@dataclass(frozen=True)
class Ended:
    name: str


@subscribe(Begun, name="tracing.first_hop")
def first_hop(event: Begun) -> None:
    """Calls a durable task."""
    second_hop.delay(event.name)


@shared_task(name="tracing.second_hop", ignore_result=True)
def second_hop(name: str) -> None:
    """Publishes an event."""
    with transaction.atomic():
        publish(Ended(name))


@subscribe(Ended, name="tracing.last_hop")
def last_hop(event: Ended) -> None:
    """Says in what context it ran."""
    logger.warning("the last hop of %s in %s", event.name, asdict(current_context()))
    Group.objects.create(name=event.name)

"""The platform's own Celery tasks."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from celery import Task, shared_task
from celery.signals import task_revoked

from outbox.afterwards import afterwards
from outbox.celery import DurableTask, delivery_of
from outbox.closing import close_delivery
from outbox.conf import conf
from outbox.deliveries import Delivery
from outbox.events import known_types, unknown_type
from outbox.models import Message
from outbox.models.message import DISTRIBUTE
from outbox.publish import build, insert
from outbox.subscriptions import subscribers_of


class DispatchTask(Task):
    """The periodic round of the relay: sent straight to the broker, because nothing else could send it."""

    ignore_result = True
    acks_late = False
    max_retries = None
    Request = "outbox.requests:StrictRequest"


@shared_task(base=DispatchTask, name="outbox.dispatch")  # type: ignore[untyped-decorator]
def dispatch() -> dict[str, int]:
    """Send everything that is due, and rescue what got lost. Any number of these may run at once."""
    from outbox.relay.engine import shared_relay

    with shared_relay() as relay:
        return relay.turn()._asdict()


@shared_task(base=DispatchTask, name="outbox.prune")  # type: ignore[untyped-decorator]
def prune() -> dict[str, int]:
    """Delete some of what is finished and old: a little at a time, because the dispatch task waits meanwhile."""
    from outbox.prune import RUN_SECONDS, prune

    deleted: Counter[str] = Counter()
    for batch in prune(seconds=RUN_SECONDS):
        deleted[batch.kind] += batch.count
    return dict(deleted)


@task_revoked.connect  # type: ignore[untyped-decorator]
def call_off_revoked(request: Any, expired: bool = False, terminated: bool = False, **_: Any) -> None:
    """A message that a worker threw away, revoked or expired, is closed: nobody waits for it any more.

    One that was at work, and is being killed, is closed in the background.
    """
    delivery = Delivery.of(request)
    if delivery is None:
        return
    reason = "Expired before a worker took it." if expired else "Revoked."
    close = partial(close_delivery, delivery.message_id, delivery.attempt, reason, killed=terminated)
    if terminated:
        afterwards(close, f"the revocation of {delivery.message_id}")
    else:
        close()


@shared_task(bind=True, base=DurableTask, name=DISTRIBUTE, consumption="transactional", ignore_result=True)  # type: ignore[untyped-decorator]
def distribute(task: Any) -> None:
    """Give a message without a consumer, such as one inserted by hand, to every subscriber of its type."""
    message_id, _ = delivery_of(task)
    source = Message.objects.using(conf().DATABASE).get(pk=message_id)
    consumers = subscribers_of(source.type)
    if not consumers:
        raise unknown_type(source.type, known_types())
    insert(
        [
            build(
                source.type,
                source.payload,
                consumer=name,
                priority=source.priority,
                headers=source.headers,
                key=source.key,
                blocks_key=source.blocks_key,
            )
            for name in consumers
        ]
    )

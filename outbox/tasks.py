"""The platform's own Celery tasks."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from celery import Task, shared_task
from celery.app.task import Context
from celery.signals import task_revoked, task_unknown

from outbox.afterwards import afterwards
from outbox.celery import DurableTask, delivery_of
from outbox.closing import close_delivery
from outbox.conf import conf
from outbox.deliveries import Delivery
from outbox.events import known_types, unknown_type
from outbox.models import Message
from outbox.models.message import DISTRIBUTE
from outbox.publish import build, insert
from outbox.strangers import hand_back
from outbox.subscriptions import subscribers_of
from outbox.transports.envelope import queue_of

MANY_WAITING = 100
"""Periodic tasks in a queue that nobody serves: one more would be of no use. More than wake-ups alone ever are
(:data:`outbox.relay.wakeup.ENOUGH_WAITING`), so that these keep nobody out."""
TO_SEND_CONNECTS_AGAIN = 0
DAY = 24 * 3600.0


class DispatchTask(Task):
    """The periodic round of the relay: sent straight to the broker, because nothing else could send it.

    It is sent again and again, whether a worker takes it or not. What keeps the queue bounded is a look at it, and not
    an ``expires``: with that, Celery compares the clocks of two machines, and a worker whose clock is ahead would throw
    all of them away.
    """

    ignore_result = True
    acks_late = False
    max_retries = None
    Request = "outbox.requests:StrictRequest"

    def apply_async(
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        producer: Any = None,
        *others: Any,
        enough: int = MANY_WAITING,
        **options: Any,
    ) -> Any:
        """As Celery's, but ``None``, and nothing is sent, where ``enough`` tasks or more wait in its queue.

        Not guaranteed: that bound on a broker that does not tell (one outside kombu's virtual transports, such as
        RabbitMQ). There a task expires after a day, by the clocks of sender and worker.
        """
        queue = options.setdefault("queue", queue_of(self.app, self.name))
        with self.app.producer_or_acquire(producer) as found:
            waiting = _waiting(found, queue)
            if waiting is None:
                options.setdefault("expires", DAY)
            elif waiting >= enough:
                return None
            return super().apply_async(args, kwargs, task_id, found, *others, **options)


def _waiting(producer: Any, queue: str) -> int | None:
    """How many tasks are in a queue; ``None`` where the broker cannot tell."""
    channel = producer.channel
    if not hasattr(channel, "_size"):
        return None
    if channel.closed:  # beat keeps its producer, and an outage may have left it with this
        return TO_SEND_CONNECTS_AGAIN
    try:
        return int(channel._size(queue))
    except producer.connection.connection_errors:
        return TO_SEND_CONNECTS_AGAIN


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


@task_unknown.connect  # type: ignore[untyped-decorator]
def hand_back_unknown(sender: Any, message: Any, name: str, id: str, **_: Any) -> None:
    """A message for a task that this worker does not have goes back, in the background: others may have it."""
    delivery = Delivery.of(Context(id=id, headers=message.headers or {}, hostname=sender.hostname))
    if delivery is not None:
        afterwards(partial(hand_back, delivery, name, id), f"that {name} is not known here")


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

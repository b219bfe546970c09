"""The consumer's half of the SQL: an effect happens once, because its mark commits with it.

A delivery carries the number of its attempt. It may run only while that attempt is on its way (Processing or Sent), the
row is not consumed, and names the task that it came to; so duplicates, late deliveries, those of purged rows and those
forged for another task find no row and do nothing. A delivery's arguments are the broker message's, not the row's.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID, uuid4

from celery._state import get_current_worker_task
from django.db import transaction
from django.db.models import F

from outbox.backoff import default_policy
from outbox.claims import free
from outbox.conf import conf
from outbox.models import Attempt, Message, Status
from outbox.models.message import addressed_to
from outbox.relay.wakeup import wake_on_commit
from outbox.rows import NewMessage
from outbox.store import store
from outbox.store.records import Run


def current(message_id: UUID, attempt: int, consumer: str = "") -> Message | None:
    """The message, while this attempt of it has no outcome and it is addressed to ``consumer``.

    By default that is the task at work; outside of one, anybody.
    """
    on_its_way = Message.objects.using(conf().DATABASE).filter(
        id=message_id,
        attempts=attempt,
        status__in=[Status.PROCESSING, Status.SENT],
        consumed_at=None,
    )
    return on_its_way.filter(addressed_to(consumer or task_at_work())).first()


def consume(message_id: UUID, attempt: int) -> bool:
    """Mark the message consumed, in the caller's transaction: commit it together with the effect.

    Called in a worker's task, the message must be addressed to that task. A duplicate that runs at the same time waits
    for this transaction and then gets ``False``.
    """
    return note_end(message_id, store().consume(message_id, attempt, task_at_work()))


def take_lease(message_id: UUID, attempt: int, seconds: float, *, worker: str = "") -> UUID | None:
    """Hold the message for work that does not fit in a transaction; ``None`` when it is not ours to do.

    Called in a worker's task, the message must be addressed to that task.

    Not guaranteed: that the work happens once. A holder that dies is followed by another attempt.
    """
    lock_id = uuid4()
    taken = store().take_lease(message_id, attempt, seconds, lock_id, worker, task_at_work())
    return lock_id if taken else None


def finish_lease(message_id: UUID, lock_id: UUID) -> bool:
    """Mark leased work as consumed; ``False`` when the lease was lost to another holder meanwhile."""
    return note_end(message_id, store().finish_lease(message_id, lock_id))


def fail(
    message_id: UUID,
    attempt: int,
    error: str,
    delay: float | None,
    *,
    worker: str = "",
    lock_id: UUID | None = None,
    stage: str = Attempt.Stage.CONSUME,
) -> bool:
    """Note a failed consumption: again in ``delay`` seconds, or Failed for a person when that is ``None``.

    Where it failed because the consumer does not know the message (``stage`` is ``unknown``), the attempt is refunded,
    unless it is Failed. Returns ``False``, and changes nothing, when this delivery is no longer the row's current one.
    """
    return _fail(Run(message_id, attempt, worker, lock_id), error, delay, stage)


def lose(
    message_id: UUID, attempt: int, error: str, *, worker: str = "", lock_id: UUID | None = None
) -> bool:
    """Note that the worker died in the middle of it: again after a pause, or Failed after ``MAX_LOST_LEASES`` of these.

    Returns ``False``, and changes nothing, when this delivery is no longer the row's current one.
    """
    lost = Attempt.objects.using(conf().DATABASE).filter(
        message=message_id, stage=Attempt.Stage.LOST, number__gt=F("message__redriven_after")
    )
    times = 1 + lost.count()
    delay = None if times >= conf().MAX_LOST_LEASES else default_policy().delay(times)
    return _fail(Run(message_id, attempt, worker, lock_id), error, delay, Attempt.Stage.LOST)


def reschedule(
    message_id: UUID,
    attempt: int,
    error: str,
    row: NewMessage,
    *,
    worker: str = "",
    lock_id: UUID | None = None,
) -> bool:
    """Schedule the attempt that a task asked for: its row becomes the new message.

    Returns ``False``, and changes nothing, when this delivery is no longer the row's current one.
    """
    return store().reschedule(Run(message_id, attempt, worker, lock_id), error, row)


def rearm(message_id: UUID, delay: float, error: str, *, worker: str = "") -> bool:
    """Make a message due again in ``delay`` seconds, consumed or not: the same id, a further attempt.

    The caller holds the fence (a saga's step, a task's own lease) and says so in the same transaction. Returns
    ``False`` when there is no such message any more: discarded, or deleted.
    """
    return store().rearm(message_id, delay, error, worker)


def call_off(message_id: UUID, reason: str) -> bool:
    """Close a message that is no longer wanted: copies on their way do nothing.

    Returns ``False`` when it was consumed already.
    """
    return note_end(message_id, store().call_off(message_id, reason))


def note_end(message_id: UUID, is_keyed: bool | None) -> bool:
    """Whether a statement has ended a message, by its answer; then the next one of its key may go."""
    if is_keyed:
        _free(message_id)
    return is_keyed is not None


def task_at_work() -> str:
    """The name under which the worker's task was sent; empty outside of one.

    Not that of the task's function: an application may register one under several names.
    """
    task = get_current_worker_task()
    return str(getattr(task.request, "task", None) or task.name) if task else ""


def _fail(run: Run, error: str, delay: float | None, stage: str) -> bool:
    failed = store().fail(run, error, delay, stage)
    if failed and delay is None:
        _free(run.message_id)  # where a failed message of its key lets the others pass
    return failed


def _free(message_id: UUID) -> None:
    """After the commit: a handler at work must not hold a lock on the messages behind its own.

    A process that dies in between leaves them to the relay's look for what waits for something that is over.
    """
    transaction.on_commit(partial(_free_now, message_id), using=conf().DATABASE, robust=True)


def _free_now(message_id: UUID) -> None:
    if free([message_id]):
        wake_on_commit()

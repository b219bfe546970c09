"""What becomes of a run that failed, or whose outcome cannot be written."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

from outbox import consumption
from outbox.backoff import default_policy, next_delay
from outbox.connections import drop_interrupted
from outbox.database import DATABASE_AWAY, atomic, connection
from outbox.exceptions import PermanentError, UnknownType
from outbox.models import Attempt
from outbox.outcomes import Done, leave_out, record_failure
from outbox.patience import next_looks
from outbox.rows import NewMessage
from outbox.wording import describe

if TYPE_CHECKING:
    from outbox.celery import DurableTask
    from outbox.deliveries import Delivery

logger = get_task_logger(__name__)

T = TypeVar("T")


def after_failure(
    task: DurableTask, delivery: Delivery, error: Exception, *, lock_id: UUID | None
) -> Exception:
    """Write the outcome of a failed run; returns what Celery is to be told: RETRY or the failure itself."""
    _be_sound_after(error)
    if asked := reschedule_of(task):
        cause = getattr(error, "exc", None) if isinstance(error, Retry) else error
        text = describe(cause) if cause else "Asked to run again."
        insist(delivery, lambda: reschedule(delivery, text, asked, lock_id))
        return error
    delay, flaw = _delay(task, delivery, error, in_transaction=lock_id is None)
    done = insist(delivery, lambda: _fail(task, delivery, error, flaw, delay, lock_id))
    if done is None:
        return not_ours(task, delivery)
    leave_out(task.request, done)
    return error if delay is None else Retry(exc=error, when=delay)


def fail_manually(task: DurableTask, delivery: Delivery, error: Exception, args: Any, kwargs: Any) -> None:
    """Write the failure of a task that consumes its message itself.

    Changes nothing when the task has consumed its message (then the error was its own outcome), nor when the message
    is addressed to another one.
    """
    _be_sound_after(error)
    if not is_open(delivery):
        return
    delay, flaw = None, ""
    if _takes(task, args, kwargs):
        delay, flaw = _delay(task, delivery, error, in_transaction=False)
    text = describe(error) + flaw
    stage = _stage(error)
    consumption.fail(delivery.message_id, delivery.attempt, text, delay, worker=delivery.worker, stage=stage)


def not_ours(task: DurableTask, delivery: Delivery) -> Exception:
    """What Celery is told of a delivery that nothing was done for."""
    logger.info(
        "%s[%s]: attempt %s is not current: nothing done", task.name, delivery.message_id, delivery.attempt
    )
    told: Exception = Ignore(
        f"Attempt {delivery.attempt} of {delivery.message_id} is consumed, outdated or unknown."
    )
    return told


def insist(delivery: Delivery, write: Callable[[], T]) -> T:
    """Write an outcome; once more on a fresh connection, when the one that waited during the work has died.

    Doing it twice is harmless: each of these writes carries its fence.

    Raises:
        Ignore: not written. The message will come back, so this run is no outcome that Celery should tell anybody of.
    """
    try:
        return write()
    except DATABASE_AWAY:
        if connection().in_atomic_block:
            raise
        connection().close()
    try:
        return write()
    except DATABASE_AWAY as error:
        raise not_written(delivery) from error


def not_written(delivery: Delivery) -> Exception:
    """What Celery is told then. To be called where the error is at hand: it is logged."""
    told = f"Attempt {delivery.attempt} of {delivery.message_id} has no outcome, and will be followed by another."
    logger.exception(told)
    outcome: Exception = Ignore(told)
    return outcome


def is_open(delivery: Delivery) -> bool:
    """Whether the message is addressed to the task at work, and this attempt has no outcome yet."""
    return consumption.current(delivery.message_id, delivery.attempt) is not None


def reschedule(delivery: Delivery, cause: str, asked: NewMessage, lock_id: UUID | None) -> bool:
    """Write the attempt that a task asked for; ``False``: this run is outdated."""
    return consumption.reschedule(
        delivery.message_id,
        delivery.attempt,
        cause,
        asked,
        worker=delivery.worker,
        lock_id=lock_id,
    )


def reschedule_of(task: DurableTask) -> NewMessage | None:
    """The attempt that the running task asked for."""
    found: NewMessage | None = getattr(task.request, "outbox_reschedule", None)
    return found


def _fail(
    task: DurableTask,
    delivery: Delivery,
    error: Exception,
    flaw: str,
    delay: float | None,
    lock_id: UUID | None,
) -> Done | None:
    """Write that it failed and, when that is final, what Celery makes of it. ``None``: this run is outdated."""
    with atomic():
        text = describe(error) + flaw
        is_current = consumption.fail(
            delivery.message_id,
            delivery.attempt,
            text,
            delay,
            worker=delivery.worker,
            lock_id=lock_id,
            stage=_stage(error),
        )
        if not is_current:
            return None
        task.request.outbox_ending = True
        final = delay is None and not isinstance(error, Reject | Retry)
        return record_failure(task, delivery.message_id, error) if final else ()


def _takes(task: DurableTask, args: Any, kwargs: Any) -> bool:
    """Whether the task's function takes these arguments: if not, another attempt cannot help."""
    try:
        inspect.signature(task.run).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _be_sound_after(error: Exception) -> None:
    """A time limit may have struck in the middle of a transaction: nothing is written on such a connection."""
    if isinstance(error, SoftTimeLimitExceeded):
        drop_interrupted()


def _delay(
    task: DurableTask, delivery: Delivery, error: Exception, *, in_transaction: bool
) -> tuple[float | None, str]:
    """Seconds to the next attempt, or ``None`` when this was the last; and what is wrong with the policy."""
    if isinstance(error, UnknownType):
        return insist(delivery, lambda: next_looks([delivery.message_id]))[delivery.message_id], ""
    policy = task.policy()
    if in_transaction and isinstance(error, DATABASE_AWAY):
        policy = default_policy()  # all was rolled back: no outcome of the task's, but the database's
    if isinstance(error, Reject) and error.requeue:
        return default_policy().delay(delivery.tries), ""
    return (None, "") if isinstance(error, PermanentError) else next_delay(policy, delivery.tries)


def _stage(error: Exception) -> str:
    return Attempt.Stage.UNKNOWN if isinstance(error, UnknownType) else Attempt.Stage.CONSUME

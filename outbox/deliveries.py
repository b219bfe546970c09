"""One delivery of a message to its task in a worker: the ways to consume it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_task_logger

from outbox import consumption
from outbox.backoff import default_policy
from outbox.database import DATABASE_AWAY, atomic, connection
from outbox.exceptions import PermanentError
from outbox.following import send_what_follows
from outbox.wording import describe

if TYPE_CHECKING:
    from outbox.celery import DurableTask

logger = get_task_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Delivery:
    """What a worker received: a message's id, and the attempt that this delivery belongs to."""

    message_id: UUID
    attempt: int
    tries: int
    correlation_id: str
    traceparent: str
    worker: str

    @classmethod
    def of(cls, request: Any) -> Delivery | None:
        """The delivery of a Celery request; ``None`` for a task that did not come from the outbox."""
        headers = request.headers or {}
        try:
            return cls(
                UUID(request.id),
                int(headers["outbox_attempt"]),
                int(headers.get("outbox_tries", headers["outbox_attempt"])),
                str(headers.get("outbox_correlation_id", "")),
                str(headers.get("traceparent", "")),
                str(request.hostname or ""),
            )
        except (KeyError, ValueError, TypeError):
            return None


@dataclass(frozen=True)
class Reschedule:
    """The next attempt that a task asked for with ``retry()`` or ``replace()``: its message, and when it is due."""

    task: str
    payload: Mapping[str, Any]
    headers: Mapping[str, Any]
    delay: float
    eta: str | None

    def as_params(self) -> tuple[str, str, str, float, str | None]:
        """In the order of :func:`outbox.consumption.reschedule`."""
        return self.task, json.dumps(self.payload), json.dumps(self.headers), self.delay, self.eta


def run_transactionally(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """Mark and effect, and the messages of what follows, in one transaction: all or nothing."""
    told: Ignore | None = None
    result: Any = None
    try:
        with atomic():
            _consume(task, delivery)
            try:
                result = task.run(*args, **kwargs)
            except Ignore as wish:
                told = wish
            _write_what_follows(task, delivery, result, lock_id=None, ignored=told is not None)
    except Ignore:
        raise
    except Exception as error:
        raise _after_failure(task, delivery, error, lock_id=None) from error
    return _tell(task, result, told)


def run_leased(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """Hold a lease while it runs, mark at the end. A crash means again."""
    lock_id = consumption.take_lease(delivery.message_id, delivery.attempt, task.lease_seconds)
    if lock_id is None:
        raise _not_ours(task, delivery)
    told: Ignore | None = None
    result: Any = None
    try:
        result = task.run(*args, **kwargs)
    except Ignore as wish:
        told = wish
    except Exception as error:
        raise _after_failure(task, delivery, error, lock_id=lock_id) from error
    _insist(lambda: _finish(task, delivery, lock_id, result, ignored=told is not None))
    return _tell(task, result, told)


def run_manually(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """The task consumes its message itself, in a transaction of its own making."""
    try:
        return task.run(*args, **kwargs)
    except (Ignore, Reject, Retry, *DATABASE_AWAY):
        raise
    except Exception as error:
        delay = (
            None if not _takes(task, args, kwargs) else _delay(task, delivery, error, in_transaction=False)
        )
        # Changes nothing when the task has consumed its message: then the error was its own outcome.
        consumption.fail(
            delivery.message_id, delivery.attempt, describe(error), delay, worker=delivery.worker
        )
        raise


MODES: dict[str, Callable[[DurableTask, Delivery, Any, Any], Any]] = {
    "transactional": run_transactionally,
    "leased": run_leased,
    "manual": run_manually,
}


def _takes(task: DurableTask, args: Any, kwargs: Any) -> bool:
    """Whether the task's function takes these arguments: if not, another attempt cannot help."""
    try:
        inspect.signature(task.run).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _consume(task: DurableTask, delivery: Delivery) -> None:
    if not consumption.consume(delivery.message_id, delivery.attempt):
        raise _not_ours(task, delivery)


def _finish(task: DurableTask, delivery: Delivery, lock_id: UUID, result: Any, *, ignored: bool) -> None:
    """The end of leased work: its mark, together with the messages of what follows."""
    with atomic():
        if _reschedule_of(task) is None and not consumption.finish_lease(delivery.message_id, lock_id):
            logger.warning(
                "%s[%s] took longer than its lease of %s s, and another run has it now: this outcome is refused",
                task.name,
                delivery.message_id,
                task.lease_seconds,
            )
            raise _not_ours(task, delivery)
        _write_what_follows(task, delivery, result, lock_id=lock_id, ignored=ignored)


def _write_what_follows(
    task: DurableTask, delivery: Delivery, result: Any, *, lock_id: UUID | None, ignored: bool
) -> None:
    """What a run that did not fail leaves behind: its next attempt where it asked for one (``retry(throw=False)``,
    ``replace()``), else its links and chain; nothing after ``Ignore``."""
    if asked := _reschedule_of(task):
        _reschedule(delivery, "Asked to run again.", asked, lock_id)
    elif not ignored:
        send_what_follows(task, result)


def _tell(task: DurableTask, result: Any, told: Ignore | None) -> Any:
    """What Celery is told of a run that did not fail. What follows is written: Celery need not send it again."""
    task.request.callbacks = task.request.chain = None
    if told is not None:
        raise told
    return result


def _not_ours(task: DurableTask, delivery: Delivery) -> Exception:
    logger.info(
        "%s[%s]: attempt %s is not current: nothing done", task.name, delivery.message_id, delivery.attempt
    )
    told: Exception = Ignore(
        f"Attempt {delivery.attempt} of {delivery.message_id} is consumed, outdated or unknown."
    )
    return told


def _after_failure(
    task: DurableTask, delivery: Delivery, error: Exception, *, lock_id: UUID | None
) -> Exception:
    """Write the outcome of a failed run; returns what Celery is to be told: RETRY or the failure itself."""
    asked = _reschedule_of(task)
    if asked is not None and isinstance(error, Retry):
        cause = describe(error.exc) if error.exc else "Asked to run again."
        _insist(lambda: _reschedule(delivery, cause, asked, lock_id))
        told: Exception = error
        return told
    delay = _delay(task, delivery, error, in_transaction=lock_id is None)
    is_current = _insist(
        lambda: consumption.fail(
            delivery.message_id,
            delivery.attempt,
            describe(error),
            delay,
            worker=delivery.worker,
            lock_id=lock_id,
        )
    )
    if not is_current:
        return _not_ours(task, delivery)
    return error if delay is None else Retry(exc=error, when=delay)


def _delay(task: DurableTask, delivery: Delivery, error: Exception, *, in_transaction: bool) -> float | None:
    """Seconds to the next attempt, or ``None`` when this was the last."""
    policy = task.policy()
    if in_transaction and isinstance(error, DATABASE_AWAY):
        policy = default_policy()  # all was rolled back: no outcome of the task's, but the database's
    final = isinstance(error, PermanentError) or policy.exhausted(delivery.tries)
    return None if final else policy.delay(delivery.tries)


def _reschedule(delivery: Delivery, cause: str, asked: Reschedule, lock_id: UUID | None) -> bool:
    return consumption.reschedule(
        delivery.message_id,
        delivery.attempt,
        cause,
        asked.as_params(),
        worker=delivery.worker,
        lock_id=lock_id,
    )


def _reschedule_of(task: DurableTask) -> Reschedule | None:
    found: Reschedule | None = getattr(task.request, "outbox_reschedule", None)
    return found


def _insist(write: Callable[[], T]) -> T:
    """Write an outcome; once more on a fresh connection, when the one that waited during the work has died.

    Doing it twice is harmless: each of these writes carries its fence.
    """
    try:
        return write()
    except DATABASE_AWAY:
        if connection().in_atomic_block:
            raise
        connection().close()
        return write()

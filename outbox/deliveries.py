"""One delivery of a message to its task in a worker: the ways to consume it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from celery.app.task import get_actual_ignore_result
from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_task_logger

from outbox import consumption
from outbox.backoff import default_policy, next_delay
from outbox.capture import row_id
from outbox.database import DATABASE_AWAY, atomic, connection
from outbox.exceptions import PermanentError, UnknownType
from outbox.following import send_what_follows
from outbox.models import Attempt
from outbox.outcomes import FOLLOWING, Done, leave_out, record_failure, record_success
from outbox.patience import next_looks
from outbox.rows import NewMessage
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
                row_id(request.id),
                int(headers["outbox_attempt"]),
                int(headers.get("outbox_tries", headers["outbox_attempt"])),
                str(headers.get("outbox_correlation_id", "")),
                str(headers.get("traceparent", "")),
                str(request.hostname or ""),
            )
        except (KeyError, ValueError, TypeError):
            return None


def is_of_the_outbox(request: Any) -> bool:
    """Whether a request claims to come from a row."""
    return "outbox_attempt" in (request.headers or {})


def run_transactionally(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """Mark and effect, result and messages of what follows, in one transaction: all or nothing."""
    try:
        with atomic():
            _consume(task, delivery)
            result, wish = _run(task, args, kwargs)
            _write_replacement(task)
            done = _write_what_follows(task, delivery, result, lock_id=None, ignored=wish is not None)
    except Ignore:
        raise
    except Exception as error:
        raise _after_failure(task, delivery, error, lock_id=None) from error
    return _tell(task, result, wish, done)


def run_leased(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """Hold a lease while it runs, mark at the end. A crash means again."""
    lock_id = _insist(
        delivery,
        lambda: consumption.take_lease(
            delivery.message_id, delivery.attempt, task.lease_seconds, worker=delivery.worker
        ),
    )
    if lock_id is None:
        raise _not_ours(task, delivery)
    try:
        result, wish = _run(task, args, kwargs)
    except Exception as error:
        raise _after_failure(task, delivery, error, lock_id=lock_id) from error
    try:
        done = _insist(delivery, lambda: _finish(task, delivery, lock_id, result, ignored=wish is not None))
    except Ignore:
        raise
    except Exception as error:  # such as a result that nothing can encode
        raise _after_failure(task, delivery, error, lock_id=lock_id) from error
    return _tell(task, result, wish, done)


def run_manually(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """The task consumes its message itself, in a transaction of its own making."""
    try:
        return task.run(*args, **kwargs)
    except (Ignore, Reject, Retry):
        raise
    except DATABASE_AWAY as error:
        if _insist(delivery, lambda: _is_open(delivery)):
            raise _not_written(delivery) from error
        raise
    except Exception as error:
        _insist(delivery, partial(_fail_manually, task, delivery, error, args, kwargs))
        raise


MODES: dict[str, Callable[[DurableTask, Delivery, Any, Any], Any]] = {
    "transactional": run_transactionally,
    "leased": run_leased,
    "manual": run_manually,
}


def _fail_manually(task: DurableTask, delivery: Delivery, error: Exception, args: Any, kwargs: Any) -> None:
    """Changes nothing when the task has consumed its message (then the error was its own outcome), nor when the message
    is addressed to another one."""
    if not _is_open(delivery):
        return
    delay, flaw = None, ""
    if _takes(task, args, kwargs):
        delay, flaw = _delay(task, delivery, error, in_transaction=False)
    text = describe(error) + flaw
    stage = _stage(error)
    consumption.fail(delivery.message_id, delivery.attempt, text, delay, worker=delivery.worker, stage=stage)


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


def _run(task: DurableTask, args: Any, kwargs: Any) -> tuple[Any, Ignore | None]:
    """The task's result, or its wish to be left without one."""
    try:
        return task.run(*args, **kwargs), None
    except Ignore as wish:
        return None, wish


def _finish(task: DurableTask, delivery: Delivery, lock_id: UUID, result: Any, *, ignored: bool) -> Done:
    """The end of leased work: its mark, together with the messages of what follows."""
    with nullcontext() if _leaves_nothing(task, ignored=ignored) else atomic():
        _write_replacement(task)
        if _reschedule_of(task) is None and not consumption.finish_lease(delivery.message_id, lock_id):
            logger.warning(
                "%s[%s] took longer than its lease of %s s, and another run has it now: this outcome is refused",
                task.name,
                delivery.message_id,
                task.lease_seconds,
            )
            raise _not_ours(task, delivery)
        return _write_what_follows(task, delivery, result, lock_id=lock_id, ignored=ignored)


def _leaves_nothing(task: DurableTask, *, ignored: bool) -> bool:
    """Whether the mark is all that there is to write: one statement, which is a transaction by itself."""
    request = task.request
    what_follows = (
        request.callbacks,
        request.chain,
        request.chord,
        _replacement_of(task),
        _reschedule_of(task),
    )
    return not any(what_follows) and (ignored or get_actual_ignore_result(task, request))


def _write_replacement(task: DurableTask) -> None:
    """Write what ``replace()`` put in the place of the task. A single task becomes this row's next attempt."""
    if replacement := _replacement_of(task):
        replacement.delay()


def _write_what_follows(
    task: DurableTask, delivery: Delivery, result: Any, *, lock_id: UUID | None, ignored: bool
) -> Done:
    """What a run that did not fail leaves behind: its next attempt where it asked for one (``retry(throw=False)``,
    ``replace()``), else its result, links and chain; nothing after ``Ignore``."""
    task.request.outbox_ending = True
    if asked := _reschedule_of(task):
        _reschedule(delivery, "Asked to run again.", asked, lock_id)
    elif not ignored:
        send_what_follows(task, result)
        return record_success(task, result)
    return FOLLOWING


def _tell(task: DurableTask, result: Any, wish: Ignore | None, done: Done) -> Any:
    """What Celery is told of a run that did not fail, and what is left to it."""
    leave_out(task.request, done)
    if wish is not None:
        raise wish
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
    if asked := _reschedule_of(task):
        cause = getattr(error, "exc", None) if isinstance(error, Retry) else error
        text = describe(cause) if cause else "Asked to run again."
        _insist(delivery, lambda: _reschedule(delivery, text, asked, lock_id))
        return error
    delay, flaw = _delay(task, delivery, error, in_transaction=lock_id is None)
    done = _insist(delivery, lambda: _fail(task, delivery, error, flaw, delay, lock_id))
    if done is None:
        return _not_ours(task, delivery)
    leave_out(task.request, done)
    return error if delay is None else Retry(exc=error, when=delay)


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


def _delay(
    task: DurableTask, delivery: Delivery, error: Exception, *, in_transaction: bool
) -> tuple[float | None, str]:
    """Seconds to the next attempt, or ``None`` when this was the last; and what is wrong with the policy."""
    if isinstance(error, UnknownType):
        return _insist(delivery, lambda: next_looks([delivery.message_id]))[delivery.message_id], ""
    policy = task.policy()
    if in_transaction and isinstance(error, DATABASE_AWAY):
        policy = default_policy()  # all was rolled back: no outcome of the task's, but the database's
    if isinstance(error, Reject) and error.requeue:
        return default_policy().delay(delivery.tries), ""
    return (None, "") if isinstance(error, PermanentError) else next_delay(policy, delivery.tries)


def _stage(error: Exception) -> str:
    return Attempt.Stage.UNKNOWN if isinstance(error, UnknownType) else Attempt.Stage.CONSUME


def _reschedule(delivery: Delivery, cause: str, asked: NewMessage, lock_id: UUID | None) -> bool:
    return consumption.reschedule(
        delivery.message_id,
        delivery.attempt,
        cause,
        asked,
        worker=delivery.worker,
        lock_id=lock_id,
    )


def _replacement_of(task: DurableTask) -> Any | None:
    return getattr(task.request, "outbox_replacement", None)


def _reschedule_of(task: DurableTask) -> NewMessage | None:
    found: NewMessage | None = getattr(task.request, "outbox_reschedule", None)
    return found


def _insist(delivery: Delivery, write: Callable[[], T]) -> T:
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
        raise _not_written(delivery) from error


def _not_written(delivery: Delivery) -> Exception:
    """To be called where the error is at hand: it is logged."""
    told = f"Attempt {delivery.attempt} of {delivery.message_id} has no outcome, and will be followed by another."
    logger.exception(told)
    outcome: Exception = Ignore(told)
    return outcome


def _is_open(delivery: Delivery) -> bool:
    """Whether the message is addressed to the task at work, and this attempt has no outcome yet."""
    return consumption.current(delivery.message_id, delivery.attempt) is not None

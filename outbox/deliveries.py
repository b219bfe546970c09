"""One delivery of a message to its task in a worker: the ways to consume it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery.app.task import get_actual_ignore_result
from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_task_logger

from outbox import consumption
from outbox.capture import row_id
from outbox.database import DATABASE_AWAY, atomic
from outbox.failing import (
    after_failure,
    fail_manually,
    insist,
    is_open,
    not_ours,
    not_written,
    reschedule,
    reschedule_of,
)
from outbox.following import send_what_follows
from outbox.outcomes import FOLLOWING, Done, leave_out, record_success

if TYPE_CHECKING:
    from outbox.celery import DurableTask

logger = get_task_logger(__name__)


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
        raise after_failure(task, delivery, error, lock_id=None) from error
    return _tell(task, result, wish, done)


def run_leased(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """Hold a lease while it runs, mark at the end. A crash means again."""
    lock_id = insist(
        delivery,
        lambda: consumption.take_lease(
            delivery.message_id, delivery.attempt, task.lease_seconds, worker=delivery.worker
        ),
    )
    if lock_id is None:
        raise not_ours(task, delivery)
    try:
        result, wish = _run(task, args, kwargs)
    except Exception as error:
        raise after_failure(task, delivery, error, lock_id=lock_id) from error
    try:
        done = insist(delivery, lambda: _finish(task, delivery, lock_id, result, ignored=wish is not None))
    except Ignore:
        raise
    except Exception as error:  # such as a result that nothing can encode
        raise after_failure(task, delivery, error, lock_id=lock_id) from error
    return _tell(task, result, wish, done)


def run_manually(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """The task consumes its message itself, in a transaction of its own making."""
    try:
        return task.run(*args, **kwargs)
    except (Ignore, Reject, Retry):
        raise
    except DATABASE_AWAY as error:
        if insist(delivery, lambda: is_open(delivery)):
            raise not_written(delivery) from error
        raise
    except Exception as error:
        insist(delivery, partial(fail_manually, task, delivery, error, args, kwargs))
        raise


MODES: dict[str, Callable[[DurableTask, Delivery, Any, Any], Any]] = {
    "transactional": run_transactionally,
    "leased": run_leased,
    "manual": run_manually,
}


def _consume(task: DurableTask, delivery: Delivery) -> None:
    if not consumption.consume(delivery.message_id, delivery.attempt):
        raise not_ours(task, delivery)


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
        if reschedule_of(task) is None and not consumption.finish_lease(delivery.message_id, lock_id):
            logger.warning(
                "%s[%s] took longer than its lease of %s s, and another run has it now: this outcome is refused",
                task.name,
                delivery.message_id,
                task.lease_seconds,
            )
            raise not_ours(task, delivery)
        return _write_what_follows(task, delivery, result, lock_id=lock_id, ignored=ignored)


def _leaves_nothing(task: DurableTask, *, ignored: bool) -> bool:
    """Whether the mark is all that there is to write: one statement, which is a transaction by itself."""
    request = task.request
    what_follows = (
        request.callbacks,
        request.chain,
        request.chord,
        _replacement_of(task),
        reschedule_of(task),
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
    if asked := reschedule_of(task):
        reschedule(delivery, "Asked to run again.", asked, lock_id)
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


def _replacement_of(task: DurableTask) -> Any | None:
    return getattr(task.request, "outbox_replacement", None)

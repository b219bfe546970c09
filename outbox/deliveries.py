"""One delivery of a message to its task in a worker: the ways to consume it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_task_logger

from outbox import consumption
from outbox.database import atomic
from outbox.exceptions import LeaseLost, PermanentError

if TYPE_CHECKING:
    from outbox.celery import DurableTask

logger = get_task_logger(__name__)


@dataclass(frozen=True)
class Delivery:
    """What a worker received: a message's id, and the attempt that this delivery belongs to."""

    message_id: UUID
    attempt: int
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
                str(headers.get("outbox_correlation_id", "")),
                str(headers.get("traceparent", "")),
                str(request.hostname or ""),
            )
        except (KeyError, ValueError, TypeError):
            return None


@dataclass(frozen=True)
class Reschedule:
    """The next attempt that a task asked for with ``retry()``: its message, and when it is due."""

    payload: Mapping[str, Any]
    headers: Mapping[str, Any]
    delay: float
    eta: str | None

    def as_params(self) -> tuple[str, str, float, str | None]:
        """In the order of the SQL."""
        return json.dumps(self.payload), json.dumps(self.headers), self.delay, self.eta


def run_transactionally(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """Mark and effect in one transaction: both or neither."""
    try:
        with atomic():
            _consume(task, delivery)
            return task.run(*args, **kwargs)
    except (Ignore, Reject):
        raise
    except Exception as error:
        raise _after_failure(task, delivery, error, lock_id=None) from error


def run_leased(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:
    """Hold a lease while it runs, mark at the end. A crash means again."""
    lock_id = consumption.take_lease(delivery.message_id, delivery.attempt, task.lease_seconds)
    if lock_id is None:
        raise _not_ours(task, delivery)
    try:
        result = task.run(*args, **kwargs)
    except (Ignore, Reject):
        consumption.finish_lease(delivery.message_id, lock_id)
        raise
    except Exception as error:
        raise _after_failure(task, delivery, error, lock_id=lock_id) from error
    if not consumption.finish_lease(delivery.message_id, lock_id):
        raise LeaseLost(
            f"{task.name} took longer than its lease of {task.lease_seconds} s; another run has it now."
        )
    return result


def run_manually(task: DurableTask, delivery: Delivery, args: Any, kwargs: Any) -> Any:  # noqa: ARG001
    """The task consumes its message itself, in a transaction of its own making."""
    return task.run(*args, **kwargs)


MODES: dict[str, Callable[[DurableTask, Delivery, Any, Any], Any]] = {
    "transactional": run_transactionally,
    "leased": run_leased,
    "manual": run_manually,
}


def _consume(task: DurableTask, delivery: Delivery) -> None:
    if not consumption.consume(delivery.message_id, delivery.attempt):
        raise _not_ours(task, delivery)


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
    reschedule = getattr(task.request, "outbox_reschedule", None)
    if isinstance(error, Retry) and reschedule is not None:
        cause = describe(error.exc) if error.exc else str(error)
        consumption.reschedule(
            delivery.message_id,
            delivery.attempt,
            cause,
            reschedule.as_params(),
            worker=delivery.worker,
            lock_id=lock_id,
        )
        return error  # type: ignore[no-any-return]  # Celery ships no types
    policy = task.policy()
    final = isinstance(error, PermanentError) or policy.exhausted(delivery.attempt)
    delay = None if final else policy.delay(delivery.attempt)
    is_current = consumption.fail(
        delivery.message_id, delivery.attempt, describe(error), delay, worker=delivery.worker, lock_id=lock_id
    )
    if not is_current:
        return _not_ours(task, delivery)
    told: Exception = error if delay is None else Retry(exc=error, when=delay)
    return told


def describe(error: BaseException | str) -> str:
    """An error as one line, with its class."""
    return error if isinstance(error, str) else f"{type(error).__name__}: {error}"

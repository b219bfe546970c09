"""Messages for tasks that a worker does not have, because its code is older than they are."""

from __future__ import annotations

from contextlib import suppress

from celery import current_app

from outbox import consumption
from outbox.database import atomic
from outbox.deliveries import Delivery
from outbox.exceptions import UnknownType
from outbox.models import Attempt
from outbox.patience import next_looks
from outbox.wording import describe


def hand_back(delivery: Delivery, task: str, task_id: str) -> None:
    """Have a message sent again, to whoever knows its task, as :mod:`outbox.patience` has it; at last it is Failed.

    Changes nothing where this attempt is no longer the current one, or the message is another task's.

    Args:
        delivery: what this worker could not run.
        task: the name that it came with.
        task_id: Celery's id of it.

    Not guaranteed: that it is called, as the worker may die. Then the message is sent again after ``RESEND_AFTER``.
    """
    id_, worker = delivery.message_id, delivery.worker
    if consumption.current(id_, delivery.attempt, task) is None:
        return
    error = UnknownType(f"The worker {worker} has no task {task!r}: is its code older than the message?")
    delay = next_looks([id_])[id_]
    with atomic():
        is_back = consumption.fail(
            id_, delivery.attempt, describe(error), delay, worker=worker, stage=Attempt.Stage.UNKNOWN
        )
        if is_back and delay is not None:
            _forget_failure(task_id)  # before others can have it


def _forget_failure(task_id: str) -> None:
    """Celery has told the result backend that the task failed. It did not: whoever waits for it goes on waiting."""
    with suppress(NotImplementedError):  # a backend that keeps nothing
        current_app.backend.forget(task_id)

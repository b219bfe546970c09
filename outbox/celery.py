"""Durable tasks: a Celery ``Task`` class whose messages are rows, and whose consumption is fenced.

Set as the application's class, ``Celery(task_cls="outbox.celery:DurableTask")``, it makes ordinary Celery code
durable: ``delay``, ``apply_async`` and ``retry`` write an outbox row in the caller's transaction.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task
from celery._state import get_current_worker_task
from celery.exceptions import Ignore

from outbox.backoff import RetryPolicy, default_policy
from outbox.capture import CapturingProducer
from outbox.context import working_on
from outbox.deliveries import MODES, Delivery

NO_RETRY = RetryPolicy(max_attempts=1)


class DurableTask(Task):
    """A task that arrives.

    Class attributes, settable in ``@app.task(...)``:

    - ``durable``: ``False`` sends this task straight to the broker, as plain Celery does.
    - ``consumption``: ``transactional`` (the task runs in the transaction that marks its message consumed:
      effects in the database happen once), ``leased`` (it runs outside a transaction under a lease: at least
      once; the default) or ``manual`` (it calls :func:`outbox.consumption.consume` itself).
    - ``lease_seconds``: how long a leased run may take before it counts as dead.
    - ``home_queue``: the queue of its messages, where neither the row nor a route of Celery's names one.
    - ``delivery_retry``: when to run again after the task raised. ``None``: only its own ``retry()`` and
      ``autoretry_for`` do that, as in Celery, and a failure is kept as a Failed message.

    Not guaranteed: a task of another producer that bypasses the outbox does not run (no row, no work).
    """

    abstract = True
    durable = True
    consumption = "leased"
    lease_seconds: float = 300.0
    home_queue = ""
    delivery_retry: RetryPolicy | None = None
    acks_late = True

    def apply_async(
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        producer: Any = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        **options: Any,
    ) -> Any:
        """As Celery's, but the message becomes a row, sent once the caller's transaction has committed.

        Outside a transaction the row is committed at once. A countdown counts by the database's clock. The
        broker is not touched. Calling it from ``retry()`` schedules the row of the running task again.
        """
        if self._is_durable():
            countdown = options.pop("countdown", None)
            producer = CapturingProducer(delay=float(countdown or 0), running=_running(task_id))
            options["connection"] = None
        return super().apply_async(args, kwargs, task_id, producer, link, link_error, shadow, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """In a worker: consume the message and run. Called directly: run, as any function."""
        if self.request.called_directly or not self._is_durable():
            return self.run(*args, **kwargs)
        if getattr(self.request, "outbox_consuming", False):
            return super().__call__(*args, **kwargs)  # the running task called itself, as a function
        self.request.outbox_consuming = True
        delivery = _delivery(self)
        with working_on(
            correlation_id=delivery.correlation_id,
            causation_id=str(delivery.message_id),
            traceparent=delivery.traceparent,
        ):
            return MODES[self.consumption](self, delivery, args, kwargs)

    def policy(self) -> RetryPolicy:
        """When to run again after the task raised."""
        return self.delivery_retry or NO_RETRY

    def _is_durable(self) -> bool:
        return bool(self.durable) and not self.app.conf.task_always_eager and not self.request.is_eager


class SubscriberTask(DurableTask):
    """The task of an event's subscriber: tried again as ``settings.OUTBOX`` says, unless it says otherwise."""

    abstract = True

    def policy(self) -> RetryPolicy:
        """When to run again after the subscriber raised."""
        return self.delivery_retry or default_policy()


def delivery_of(task: Task) -> tuple[UUID, int]:
    """Id and attempt of the message that a ``manual`` task is running for."""
    delivery = _delivery(task)
    return delivery.message_id, delivery.attempt


def _delivery(task: Task) -> Delivery:
    delivery = Delivery.of(task.request)
    if delivery is None:
        raise Ignore(f"{task.name} came without an outbox message: no row, no work.")
    return delivery


def _running(task_id: str | None) -> Any | None:
    """The request being consumed right now, when it has this id: a message of that id is its next attempt."""
    task = get_current_worker_task()
    if task is None or task_id is None or task.request.id != task_id or task.request.is_eager:
        return None
    return task.request if Delivery.of(task.request) else None

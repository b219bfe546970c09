"""Durable tasks: a Celery ``Task`` class whose messages are rows, and whose consumption is fenced.

It is the class of the tasks of a :class:`outbox.application.DurableCelery`, and makes ordinary Celery code durable:
``delay``, ``apply_async`` and ``retry`` write an outbox row in the caller's transaction.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task
from celery._state import get_current_worker_task
from celery.exceptions import Ignore
from uuid_utils.compat import uuid7

from outbox.backoff import RetryPolicy, default_policy
from outbox.capture import CapturingProducer, NoEvents
from outbox.context import working_on
from outbox.deliveries import MODES, Delivery, is_of_the_outbox
from outbox.enforcement import guard_sending
from outbox.exceptions import OutboxError

NO_RETRY = RetryPolicy(max_attempts=1)
OWN_OPTIONS = ("key", "blocks_key", "schedule_key", "coalesce")
"""Options of ``apply_async`` that are the row's, as in :func:`outbox.publish.send_command`."""


class DurableTask(Task):
    """A task that arrives.

    Class attributes, settable in ``@app.task(...)``:

    - ``durable``: ``False`` sends this task straight to the broker, as plain Celery does. A message that has a row
      is consumed all the same.
    - ``accepts_foreign``: ``True`` also runs messages that did not come through the outbox, as plain Celery does:
      for other producers, and while an existing project moves.
    - ``consumption``: ``transactional`` (the task runs in the transaction that marks its message consumed:
      effects in the database happen once), ``leased`` (it runs outside a transaction under a lease: at least
      once; the default) or ``manual`` (it calls :func:`outbox.consumption.consume` itself).
    - ``lease_seconds``: how long a leased run may take before it counts as dead.
    - ``home_queue``: the queue of its messages, where neither the row nor a route of Celery's names one.
    - ``delivery_retry``: when to run again after the task raised. ``None``: only its own ``retry()`` and
      ``autoretry_for`` do that, as in Celery, and a failure is kept as a Failed message.

    Unless it ``accepts_foreign`` messages, one that bypassed the outbox does not run: no row, no work.
    """

    abstract = True
    durable = True
    accepts_foreign = False
    consumption = "leased"
    lease_seconds: float = 300.0
    home_queue = ""
    delivery_retry: RetryPolicy | None = None
    acks_late = True
    Request = "outbox.requests:DurableRequest"

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

        Further options: ``durable=False`` sends this one straight to the broker, where the task ``accepts_foreign``
        messages; ``key`` and ``blocks_key`` (order), ``schedule_key`` and ``coalesce`` (replace what waits; the result
        is then that of the row that waited), as in :func:`outbox.publish.send_command`.

        Raises:
            OutboxError: sent with ``durable=False``, it would not run.
            BypassesOutbox: it would bypass the outbox, and ``settings.OUTBOX["ENFORCE"]`` is ``raise``.
            EncodeError: JSON cannot hold an argument.
        """
        options = self.captured({**options, "task_id": task_id, "producer": producer})
        task_id, producer = options.pop("task_id"), options.pop("producer")
        result = super().apply_async(args, kwargs, task_id, producer, link, link_error, shadow, **options)
        replaced = getattr(producer, "replaced", None)
        return self.AsyncResult(str(replaced)) if replaced else result

    def captured(self, options: dict[str, Any]) -> dict[str, Any]:
        """Options for ``apply_async`` with a producer that keeps the message as a row, if it is to be durable."""
        options = dict(options)
        own = {name: options.pop(name) for name in OWN_OPTIONS if name in options}
        running = _running(options.get("task_id"))
        durable = options.pop("durable", self.durable) or running is not None
        if self._is_eager():
            return options
        if self.durable and not durable and not self.accepts_foreign:
            raise OutboxError(
                f"{self.name} runs for rows of the outbox alone: sent with durable=False, it would not run. Set "
                "accepts_foreign=True on the task."
            )
        if not _is_ending():
            guard_sending(self.name, durable=durable)
        if not durable:
            return options
        producer = CapturingProducer(
            self.app,
            delay=float(options.pop("countdown", None) or 0),
            eta=options.pop("eta", None),
            running=running,
            own=own,
        )
        options["task_id"] = options.get("task_id") or str(
            uuid7()
        )  # begins with the time, as all messages' ids do
        return {
            **options,
            "producer": producer,
            "connection": None,
            "retry": False,
            "event_dispatcher": NoEvents(),
        }

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """In a worker: consume the message and run. Called directly: run, as any function."""
        if self.request.called_directly or self._is_eager():
            return self.run(*args, **kwargs)
        if getattr(self.request, "outbox_consuming", False):
            return super().__call__(*args, **kwargs)  # the running task called itself, as a function
        if not is_of_the_outbox(self.request) and (self.accepts_foreign or not self.durable):
            return self.run(*args, **kwargs)
        self.request.outbox_consuming = True
        delivery = _delivery(self)
        with working_on(
            correlation_id=delivery.correlation_id,
            causation_id=str(delivery.message_id),
            traceparent=delivery.traceparent,
        ):
            return MODES[self.consumption](self, delivery, args, kwargs)

    def on_replace(self, sig: Any) -> Any:
        """As Celery's, but what replaces the task is written together with the mark that this run is over."""
        if not getattr(self.request, "outbox_consuming", False):
            return super().on_replace(sig)
        self.request.outbox_replacement = sig
        raise Ignore("Replaced by new task")

    def policy(self) -> RetryPolicy:
        """When to run again after the task raised."""
        return self.delivery_retry or NO_RETRY

    def _is_eager(self) -> bool:
        return bool(self.app.conf.task_always_eager or self.request.is_eager)


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


def _is_ending() -> bool:
    """Whether this is what Celery sends of its own accord when a task has ended, such as its links."""
    task = get_current_worker_task()
    return task is not None and getattr(task.request, "outbox_ending", False)


def _running(task_id: str | None) -> Any | None:
    """The request being consumed right now, when it has this id: a message of that id is its next attempt."""
    task = get_current_worker_task()
    if task is None or task_id is None or task.request.id != task_id or task.request.is_eager:
        return None
    return task.request if Delivery.of(task.request) else None

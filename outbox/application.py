"""The Celery application whose tasks are durable, whichever of Celery's ways leads to them.

It imports no models, so that it can be made where every Django project makes its Celery application: before Django
is set up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from celery import Celery
from celery.app.control import Control
from celery.utils.functional import maybe_list


class DurableControl(Control):
    """Celery's remote control, for tasks that may still be in the outbox."""

    def revoke(self, task_id: Any, destination: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Celery's, but a task that no worker has taken up is cancelled in its row: for good, and also while the
        broker is away. Workers are told of the others only.

        In a transaction, the cancellation is part of it.
        """
        from outbox.closing import close

        ids = [str(id_) for id_ in maybe_list(task_id) or ()]
        closed = close(ids, "Revoked.")
        if left := [id_ for id_ in ids if id_ not in closed]:
            return super().revoke(left, destination, *args, **kwargs)
        return None


class DurableCelery(Celery):
    """``Celery``, with tasks that are rows until they are sent: put it in the place of ``celery.Celery``.

    What it adds to ``Celery(task_cls="outbox.celery:DurableTask")``: ``send_task`` by name is captured for a task that
    is registered here and durable, ``revoke`` cancels what has not been sent, and a group is one INSERT. Its
    workers keep their database connections from task to task, as ``CONN_MAX_AGE`` has it, and send the events that
    Flower lives on, and their acknowledgements, a few times a second, together.
    """

    task_cls = "outbox.celery:DurableTask"
    control_cls = "outbox.application:DurableControl"
    builtin_fixups = frozenset({"outbox.fixup:fixup"})

    def on_init(self) -> None:
        """Celery's hook."""
        steps = ("EventsTogether", "OneClient", "AcksTogether")
        self.steps["consumer"].update(f"outbox.bootsteps:{step}" for step in steps)

    def send_task(self, name: str, *args: Any, **options: Any) -> Any:
        """As Celery's. A name that is not registered here goes straight to the broker, as do tasks that opted out."""
        if options.get("task_type") is None:
            from outbox.celery import DurableTask

            task = self.tasks.get(name)
            if isinstance(task, DurableTask):
                options = task.captured(options)
        return super().send_task(name, *args, **options)

    @contextmanager
    def producer_or_acquire(self, producer: Any = None) -> Iterator[Any]:
        """As Celery's. What is published under one producer, such as a group, is written by one INSERT at its end.

        A transaction (or savepoint) that begins within writes its own at once.
        """
        from outbox.capture import CapturingProducer, one_insert

        alone = isinstance(producer, CapturingProducer)
        with super().producer_or_acquire(producer) as acquired, nullcontext() if alone else one_insert():
            yield acquired

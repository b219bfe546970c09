"""What a worker makes of an acknowledgement that failed, and of a task that its child did not survive."""

from __future__ import annotations

from functools import partial
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker import state
from celery.worker.request import Request

from outbox import consumption
from outbox.afterwards import afterwards
from outbox.backoff import next_delay
from outbox.deliveries import Delivery
from outbox.wording import describe

DEATHS = (WorkerLostError, SystemExit, KeyboardInterrupt)


class StrictRequest(Request):
    """A request whose acknowledgement that fails breaks the connection, so that the worker makes a new one.

    Celery only logs it. On Redis its message then counts as prefetched for ever, and a worker whose every place is
    taken by such a message takes none any more: a broker that was frozen for longer than its clients wait would have
    stopped all workers for good. With a new connection such messages are delivered again, and refused as duplicates.
    """

    def acknowledge(self) -> None:
        """As Celery's, and no error of the connection is passed over."""
        self._connection_errors = ()
        super().acknowledge()

    def reject(self, requeue: bool = False) -> None:
        """As Celery's, and no error of the connection is passed over."""
        self._connection_errors = ()
        super().reject(requeue)


class DurableRequest(StrictRequest):
    """A request whose end by force is an outcome: without one, its message would be sent, and kill, for ever.

    The outcome is written in the background (see :mod:`outbox.afterwards`). Not guaranteed: that it is written, should
    the main process die or the database be away meanwhile. Then the message comes back as one of a worker that died.
    """

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """As Celery's. After a hard time limit the message is Failed, or due again where the task's policy says so."""
        delivery = Delivery.of(self._context)
        if delivery and not soft and not state.should_terminate:
            afterwards(partial(self._fail, delivery, TimeLimitExceeded(timeout)), f"the end of {self.id}")
        super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """As Celery's. A message whose worker died in the middle of it is due again, or Failed after so many deaths."""
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        delivery = Delivery.of(self._context)
        if delivery and isinstance(error, DEATHS) and not self._is_called_off():
            afterwards(partial(self._lose, delivery, error), f"the death of {self.id}")
        super().on_failure(exc_info, send_failed_event, return_ok)

    def _is_called_off(self) -> bool:
        """Whether we have killed it ourselves: revoked, or because the worker itself is to end."""
        return bool(state.should_terminate or self._already_cancelled or self._already_revoked)

    def _fail(self, delivery: Delivery, error: Exception) -> None:
        delay, flaw = next_delay(self.task.policy(), delivery.tries)
        self._write(partial(consumption.fail, error=describe(error) + flaw, delay=delay), delivery)

    def _lose(self, delivery: Delivery, error: BaseException) -> None:
        self._write(partial(consumption.lose, error=describe(error)), delivery)

    def _write(self, write: Any, delivery: Delivery) -> None:
        """Where the message is still that of this run: another worker's lease is another copy's run."""
        row = consumption.current(delivery.message_id, delivery.attempt, self._context.task)
        if row and (row.started_at is None or row.locked_by == delivery.worker):
            write(delivery.message_id, delivery.attempt, worker=delivery.worker, lock_id=row.lock_id)

"""What a worker's main process sees of a task that its child did not survive."""

from __future__ import annotations

from typing import Any

from celery.exceptions import TimeLimitExceeded
from celery.utils.log import get_task_logger
from celery.worker import state
from celery.worker.request import Request

from outbox import consumption
from outbox.conf import conf
from outbox.database import DATABASE_AWAY, connection
from outbox.deliveries import Delivery
from outbox.models import Message
from outbox.wording import describe

logger = get_task_logger(__name__)


class DurableRequest(Request):
    """A request whose time limit is an outcome: without one, its message would be sent, and killed, again and again."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """As Celery's. After a hard time limit the message is Failed, or due again where the task's policy says so."""
        if not soft and not state.should_terminate and (delivery := Delivery.of(self._context)):
            self._fail(delivery, TimeLimitExceeded(timeout))
        super().on_timeout(soft, timeout)

    def _fail(self, delivery: Delivery, error: Exception) -> None:
        policy: Any = self.task.policy()
        delay = None if policy.exhausted(delivery.tries) else policy.delay(delivery.tries)
        try:
            held = Message.objects.using(conf().DATABASE).filter(id=delivery.message_id)
            lock_id = held.values_list("lock_id", flat=True).first()
            consumption.fail(
                delivery.message_id,
                delivery.attempt,
                describe(error),
                delay,
                worker=delivery.worker,
                lock_id=lock_id,
            )
        except DATABASE_AWAY:
            logger.exception("%s: the end of its lease will bring it back", delivery.message_id)
        finally:
            connection().close()  # later children of this process must not share it

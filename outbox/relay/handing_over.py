"""From the transaction that publishes to this process's courier: what it may have, and when it gets it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.util import Finalize

from celery.signals import worker_process_shutdown, worker_shutdown
from django.db import transaction

from outbox.conf import conf
from outbox.database import connection, last_hook
from outbox.enforcement import in_test_case
from outbox.relay.courier import FRESH, LOST_AFTER, THREAD, Courier
from outbox.relay.per_process import PerProcess
from outbox.rows import NewMessage
from outbox.wording import describe

logger = logging.getLogger(__name__)

MOST = 20
"""Messages of one transaction that are sent at once; a relay is better at more."""
MOST_HOOKS = 100
"""Hooks of one transaction that are looked through for them."""


def courier_for(messages: Sequence[NewMessage]) -> Courier | None:
    """The courier under whose claim to write messages; ``None``: leave them to the relays."""
    if "direct" not in conf().WAKE_UP or not all(message.is_free for message in messages):
        return None
    if in_test_case(connection()) or not _has_room(len(messages)):
        return None
    try:
        courier = _courier.get()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is no reason not to publish)
        logger.warning("What is committed here cannot be sent at once: %s", describe(error))
        return None
    return courier if courier.is_free else None


def send_on_commit(courier: Courier, messages: Sequence[NewMessage], since: float) -> None:
    """Hand messages over once this transaction has committed (at once when none is open), all of it together.

    Args:
        courier: under whose claim they were written.
        messages: what was written.
        since: when the INSERT began, by this process's monotonic clock.
    """
    last = last_hook()
    if isinstance(last, HandingOver) and last.courier is courier:
        last.messages += messages
    else:
        handing_over = HandingOver(courier, list(messages), since)
        transaction.on_commit(handing_over, using=conf().DATABASE, robust=True)


@dataclass
class HandingOver:
    """A hook of ``on_commit``."""

    courier: Courier
    messages: list[NewMessage]
    since: float

    def __call__(self) -> None:
        """It is committed."""
        self.courier.hand_over(self.messages, self.since)


def stop_courier(**_: object) -> None:
    """Have this process's courier, if there is one, send what it has in hand. The process is about to end."""
    if courier := _courier.made:
        courier.stop()


def _has_room(count: int) -> bool:
    """Whether this transaction has not written too much yet, nor begun to write so long ago that the lease of the first
    may be over at its end."""
    hooks = connection().run_on_commit
    if len(hooks) > MOST_HOOKS:
        return False
    waiting = [hook[1] for hook in hooks if isinstance(hook[1], HandingOver)]
    written = sum(len(handing_over.messages) for handing_over in waiting)
    oldest = min((handing_over.since for handing_over in waiting), default=float("inf"))
    return written + count <= MOST and time.monotonic() - oldest < FRESH


def _hire() -> Courier:
    """Each that hangs doubles the time after which the next one is given up: a broker that hangs for a night costs a
    dozen threads. What is in hand at the end of this process, or of one of multiprocessing's, is sent."""
    hanging = sum(thread.name == THREAD for thread in threading.enumerate())
    courier = Courier(patience=LOST_AFTER * 2**hanging)
    Finalize(None, stop_courier, exitpriority=10)
    return courier


_courier = PerProcess(_hire, lambda courier: courier.is_alive)
"""This process's courier."""

# Celery's children end without Python's hooks.
worker_process_shutdown.connect(stop_courier)
worker_shutdown.connect(stop_courier)

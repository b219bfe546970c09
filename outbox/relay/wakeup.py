"""Tell a relay, right after a commit, that there is work: coalesced, from a background thread.

A wake-up is a hint. It never delays or fails the request that committed, it may be lost, and nothing depends on
it: polling goes on whatever happens here. ``NOTIFY`` is sent from a connection of the thread's own, never in the
business transaction, where it would take a database-wide lock at commit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import transaction

from outbox.conf import conf
from outbox.connections import look_after_connections
from outbox.database import connection, execute, last_hook
from outbox.relay.per_process import PerProcess

logger = logging.getLogger(__name__)

CHANNEL = "outbox"
RING = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, '')"
ENOUGH_WAITING = 10
"""Tasks in the dispatch queue that are as good as one more. Above one: other periodic tasks may be among them."""


def wake_on_commit() -> None:
    """Wake a relay once this transaction has committed (at once when none is open); a rollback wakes nobody."""
    if last_hook() is wake:
        return  # two publishes in a commit are one wake-up
    transaction.on_commit(wake, using=conf().DATABASE, robust=True)  # what is committed stays committed


def wake() -> None:
    """Wake a relay now. Returns at once; many calls in a short time are one wake-up."""
    if conf().WAKE_UP:
        _waker.get().signal.set()


class Waker:
    """The background thread that does the waking, one per process."""

    def __init__(self) -> None:
        self.signal = threading.Event()
        self.stopping = False
        self.thread = threading.Thread(target=self.run, name="outbox-waker", daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Wait for the signal, wake, and again, until told to stop."""
        while self.signal.wait() and not self.stopping:
            self.signal.clear()
            for way in WAYS.keys() & set(conf().WAKE_UP):
                try:
                    WAYS[way]()
                except Exception as error:  # noqa: BLE001  (a hint that fails must not end the thread)
                    logger.warning("Could not wake the relay by %s: %s. Polling goes on.", way, error)
        connection().close()

    def stop(self) -> None:
        """End the thread and close its connection."""
        self.stopping = True
        self.signal.set()
        self.thread.join(5)


def send_dispatch_task() -> None:
    """Ask a Celery worker for a round of the relay.

    Nothing is sent while ``ENOUGH_WAITING`` tasks wait in the queue: whoever takes the last of them sees what is
    committed by now. So while no worker takes any, the queue grows to about that many, and one more for each process
    that looks at the same moment.
    """
    from outbox.tasks import dispatch

    dispatch.apply_async(queue=conf().DISPATCH_QUEUE, retry=False, enough=ENOUGH_WAITING)


def notify_listeners() -> None:
    """Ring every ``manage.py relay`` that listens. A hint need not wait for the disk."""
    look_after_connections()
    execute(RING, [CHANNEL], prepared=True)


def ring_thread() -> None:
    """Wake the relay thread of this process, starting it if need be."""
    from outbox.relay.thread import relay_thread

    relay_thread().wake()


WAYS: dict[str, Callable[[], None]] = {
    "task": send_dispatch_task,
    "notify": notify_listeners,
    "thread": ring_thread,
}

_waker = PerProcess(Waker, lambda waker: waker.thread.is_alive())
"""This process's waker."""

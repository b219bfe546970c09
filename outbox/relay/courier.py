"""Send what this process has just committed, at once and without a relay.

Where ``WAKE_UP`` has ``direct``, a message that nothing keeps back is written as if its writer had claimed it:
Processing, its first attempt counted, under a short lease. After the commit (:mod:`outbox.relay.handing_over`) a
background thread sends it; there is no wake-up, no claim, and no settling of what was consumed meanwhile. The row is
like any claimed one: what cannot be sent is given back to the relays, and what a process takes with it when it dies
comes back when the lease is over.

Nothing of it delays or fails the work that committed, also when the broker hangs.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter
from queue import Empty, SimpleQueue
from uuid import UUID, uuid4

from django.utils.module_loading import import_string

from outbox import claims
from outbox.claims import Claim, Claimed
from outbox.conf import conf
from outbox.connections import look_after_connections
from outbox.database import DATABASE_AWAY, connection
from outbox.exceptions import BrokerUnavailable
from outbox.relay.breaker import Breaker
from outbox.relay.gate import Gate
from outbox.relay.wakeup import wake
from outbox.rows import NewMessage
from outbox.transports.base import Transport

logger = logging.getLogger(__name__)

THREAD = "outbox-courier"
LEASE = 10.0
"""Seconds from the INSERT in which a message is sent, and settled where nobody consumed it."""
FRESH = LEASE / 2
"""Seconds from the INSERT after which it is not sent any more, but given back: others may soon have it, too."""
SETTLE_AFTER = 1.0
"""Seconds between two settlings. Most messages are consumed by then, and need none."""
IDLE_AFTER = 5.0
"""Seconds without a message after which the database connection is let go."""
HANGS_AFTER = 0.5
"""Seconds of one sending after which further messages are left to the relays."""
LOST_AFTER = 30.0
"""Seconds of one sending after which the thread is given up."""
STOP_WITHIN = 2.0
"""Seconds that the end of a process waits at most."""


class Courier:
    """A background thread that sends, one per process.

    Args:
        transport: where to send; by default the one that ``settings.OUTBOX`` names.
        patience: seconds of one sending after which it is given up: it ends as soon as that returns.
    """

    def __init__(self, transport: Transport | None = None, patience: float = LOST_AFTER) -> None:
        self.name = f"direct@{socket.gethostname()}:{os.getpid()}"[:200]
        self.claim = Claim(uuid4(), [])
        self.breaker = Breaker(conf().BREAKER_CAP)
        self.patience = patience
        self._transport: Transport = transport or import_string(conf().TRANSPORT)()
        self._gate = Gate()
        self._handed: SimpleQueue[tuple[float, list[Claimed]] | None] = SimpleQueue()
        self._sent: list[UUID] = []
        self._settle_at = 0.0
        self._busy_since = 0.0
        self._is_lost = False
        self.thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self.thread.start()

    @property
    def is_free(self) -> bool:
        """Whether a message that is handed over now is sent now, as far as this process knows."""
        return not self._hangs_for(HANGS_AFTER) and not self.breaker.is_open

    @property
    def is_alive(self) -> bool:
        """Whether to wait for it. If not, the process needs another one."""
        return self.thread.is_alive() and not self._hangs_for(self.patience)

    def hand_over(self, messages: Sequence[NewMessage], since: float) -> None:
        """Send messages that are committed now, written under this courier's claim. Returns at once.

        Args:
            messages: what was written.
            since: when the first INSERT of them began, by this process's monotonic clock.
        """
        self._handed.put((since, [_claimed(message) for message in messages]))

    def stop(self) -> None:
        """Send and settle what was handed over, and end the thread. Waits ``STOP_WITHIN`` seconds at most, and not
        at all for a broker that hangs."""
        self._handed.put(None)
        if not self._hangs_for(HANGS_AFTER):
            self.thread.join(STOP_WITHIN)

    def _run(self) -> None:
        going = True
        while going:
            handed, going = self._next()
            try:
                self._work_on(handed)
                going = going and not self._is_lost
                if self._sent and (not going or time.monotonic() >= self._settle_at):
                    self._settle()
            except Exception:
                logger.exception("Messages that were to be sent at once are left to the relays")
        self._transport.close()
        connection().close()

    def _next(self) -> tuple[list[tuple[float, list[Claimed]]], bool]:
        """All that was handed over, waiting for it while there is nothing else to do; and whether to go on."""
        handed: list[tuple[float, list[Claimed]]] = []
        try:
            batch = self._handed.get(timeout=self._longest_wait())
            while batch is not None:
                handed.append(batch)
                batch = self._handed.get_nowait()
        except Empty:
            return handed, True
        return handed, False

    def _longest_wait(self) -> float | None:
        if self._sent:
            return max(0.0, self._settle_at - time.monotonic())
        return None if connection().connection is None else IDLE_AFTER

    def _work_on(self, handed: Sequence[tuple[float, list[Claimed]]]) -> None:
        if not handed and not self._sent:
            connection().close()
        oldest = time.monotonic() - FRESH
        if fresh := [message for since, batch in handed if since > oldest for message in batch]:
            self._deliver(sorted(fresh, key=attrgetter("priority")))
        self._give_back([message.id for since, batch in handed if since <= oldest for message in batch])

    def _deliver(self, messages: Sequence[Claimed]) -> None:
        self._busy_since = time.monotonic()
        try:
            self._send(messages)
        except (BrokerUnavailable, OSError) as error:
            logger.warning("%s; %s messages are left to the relays", error, len(messages))
        except Exception:
            logger.exception("%s messages are left to the relays", len(messages))
        else:
            self.breaker.succeeded()
            return
        finally:
            self._is_lost = self._hangs_for(self.patience)
            self._busy_since = 0.0
        self.breaker.failed()
        self._give_back([message.id for message in messages])

    def _send(self, messages: Sequence[Claimed]) -> None:
        from outbox.relay.batch import admit  # which publishes, and so leads back here

        look_after_connections()
        admitted, _ = admit(Claim(self.claim.lock_id, list(messages)), self._gate)
        errors = self._transport.send(admitted) if admitted else {}
        if not self._sent:
            self._settle_at = time.monotonic() + SETTLE_AFTER
        self._sent += [message.id for message in admitted if message.id not in errors]
        self._give_back(list(errors))

    def _give_back(self, ids: Sequence[UUID]) -> None:
        """To the relays, who know what to do with a message that cannot be sent. If the database cannot be told, the
        end of the lease tells them."""
        if ids:
            with suppress(*DATABASE_AWAY):
                look_after_connections()
                claims.release(self.claim, ids)
                wake()

    def _settle(self) -> None:
        """Those that nobody has consumed yet wait for that, as long as any message that was sent. One that a consumer
        is at work on is left alone: it is consumed then, or given back by its consumer or by the end of the lease."""
        sent, self._sent = self._sent, []
        look_after_connections()
        try:
            claims.settle_sent(self.claim, sent)
        except DATABASE_AWAY:
            logger.warning("%s messages were sent, but not settled: some may be sent again", len(sent))
            connection().close()

    def _hangs_for(self, seconds: float) -> bool:
        since = self._busy_since  # read once: the thread ends its sending meanwhile
        return bool(since) and time.monotonic() - since > seconds


def _claimed(message: NewMessage) -> Claimed:
    return Claimed(
        message.id,
        message.type,
        message.consumer,
        message.payload,
        message.headers,
        message.queue,
        message.priority,
        1,
        message.correlation_id,
        1,
    )

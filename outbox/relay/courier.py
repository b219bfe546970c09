"""Send what this process has just committed, at once and without a relay.

Where ``WAKE_UP`` has ``direct``, a message that nothing keeps back is written as if its writer had claimed it:
Processing, its first attempt counted, under a short lease. After the commit a background thread sends it; there is no
wake-up, no claim, and no settling of what was consumed meanwhile. The row is like any claimed one: what cannot be sent
is given back to the relays, and what a process takes with it when it dies comes back when the lease is over.

Nothing of it delays or fails the work that committed, also when the broker hangs.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from uuid import UUID, uuid4

from django.db import transaction
from django.utils.module_loading import import_string

from outbox import claims
from outbox.claims import Claim, Claimed
from outbox.conf import conf
from outbox.connections import look_after_connections
from outbox.database import DATABASE_AWAY, connection
from outbox.exceptions import BrokerUnavailable
from outbox.relay.breaker import Breaker
from outbox.relay.gate import Gate
from outbox.relay.per_process import PerProcess
from outbox.relay.wakeup import wake
from outbox.rows import NewMessage
from outbox.transports.base import Transport

logger = logging.getLogger(__name__)

LEASE = 10.0
"""Seconds from the INSERT in which a message is sent, and settled where nobody consumed it."""
SETTLE_AFTER = 1.0
"""Seconds between two settlings. Most messages are consumed by then, and need none."""
HANGS_AFTER = 0.5
"""Seconds of one sending after which further messages are left to the relays."""
MOST = 20
"""Messages written together that are sent at once; a relay is better at more."""


class Courier:
    """A background thread that sends, one per process.

    Args:
        transport: where to send; by default the one that ``settings.OUTBOX`` names.
    """

    def __init__(self, transport: Transport | None = None) -> None:
        self.name = f"direct@{socket.gethostname()}:{os.getpid()}"[:200]
        self.claim = Claim(uuid4(), [])
        self.breaker = Breaker(conf().BREAKER_CAP)
        self._transport: Transport = transport or import_string(conf().TRANSPORT)()
        self._gate = Gate()
        self._handed: SimpleQueue[list[Claimed] | None] = SimpleQueue()
        self._sent: list[UUID] = []
        self._settle_at = 0.0
        self._busy_since = 0.0
        self.thread = threading.Thread(target=self._run, name="outbox-courier", daemon=True)
        self.thread.start()

    @property
    def is_free(self) -> bool:
        """Whether a message that is handed over now is sent now, as far as this process knows."""
        hangs = self._busy_since and time.monotonic() - self._busy_since > HANGS_AFTER
        return not hangs and not self.breaker.is_open

    def hand_over(self, messages: Sequence[NewMessage]) -> None:
        """Send messages that are committed now, written under this courier's claim. Returns at once."""
        self._handed.put([_claimed(message) for message in messages])

    def stop(self) -> None:
        """Send and settle what was handed over, and end the thread."""
        self._handed.put(None)
        self.thread.join(5)

    def _run(self) -> None:
        going = True
        while going:
            messages, going = self._next()
            try:
                if messages:
                    self._deliver(messages)
                if self._sent and (not going or time.monotonic() >= self._settle_at):
                    self._settle()
            except Exception:
                logger.exception("Messages that were to be sent at once are left to the relays")
        self._transport.close()
        connection().close()

    def _next(self) -> tuple[list[Claimed], bool]:
        """All that was handed over, waiting for it while there is nothing else to do; and whether to go on."""
        patience = max(0.0, self._settle_at - time.monotonic()) if self._sent else None
        messages: list[Claimed] = []
        try:
            handed = self._handed.get(timeout=patience)
            while handed is not None:
                messages += handed
                handed = self._handed.get_nowait()
        except Empty:
            return messages, True
        return messages, False

    def _deliver(self, messages: Sequence[Claimed]) -> None:
        from outbox.relay.batch import admit  # which publishes, and so leads back here

        self._busy_since = time.monotonic()
        try:
            look_after_connections()
            admitted, _ = admit(Claim(self.claim.lock_id, list(messages)), self._gate)
            errors = self._transport.send(admitted) if admitted else {}
        except BrokerUnavailable as error:
            self.breaker.failed()
            logger.warning("%s; %s messages are left to the relays", error, len(messages))
            self._give_back([message.id for message in messages])
            return
        finally:
            self._busy_since = 0.0
        self.breaker.succeeded()
        self._give_back(list(errors))
        sent = [message.id for message in admitted if message.id not in errors]
        if not self._sent:
            self._settle_at = time.monotonic() + SETTLE_AFTER
        self._sent += sent

    def _give_back(self, ids: Sequence[UUID]) -> None:
        """To the relays, who know what to do with a message that cannot be sent."""
        if ids:
            claims.release(self.claim, ids)
            wake()

    def _settle(self) -> None:
        """Those that nobody has consumed yet wait for that, as long as any message that was sent."""
        sent, self._sent = self._sent, []
        look_after_connections()
        try:
            claims.settle_sent(self.claim, sent)
        except DATABASE_AWAY:
            logger.warning("%s messages were sent, but not settled: some may be sent again", len(sent))
            connection().close()


def courier_for(messages: Sequence[NewMessage]) -> Courier | None:
    """The courier under whose claim to write messages; ``None``: leave them to the relays."""
    if "direct" not in conf().WAKE_UP or len(messages) > MOST:
        return None
    if not all(message.is_free for message in messages):
        return None
    courier = _courier.get()
    return courier if courier.is_free else None


def send_on_commit(courier: Courier, messages: Sequence[NewMessage]) -> None:
    """Hand messages over once this transaction has committed (at once when none is open), all of it together."""
    hooks = connection().run_on_commit
    last = hooks[-1][1] if hooks and hooks[-1][0] == set(connection().savepoint_ids) else None
    if isinstance(last, _HandingOver) and last.courier is courier:
        last.messages += messages
    else:
        handing_over = _HandingOver(courier, list(messages))
        transaction.on_commit(handing_over, using=conf().DATABASE, robust=True)


@dataclass
class _HandingOver:
    courier: Courier
    messages: list[NewMessage]

    def __call__(self) -> None:
        self.courier.hand_over(self.messages)


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


_courier = PerProcess(Courier, lambda courier: courier.thread.is_alive())
"""This process's courier."""

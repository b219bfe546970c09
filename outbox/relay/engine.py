"""The relay's rounds: claim → send → settle. Whoever runs it (see :mod:`outbox.relay`) calls this.

While one batch is being sent, the one before it is settled and the next one is claimed, each on a connection of its
own: both halves of the database's work and this process's own go on at the same time.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.utils.module_loading import import_string

from outbox import claims, controls
from outbox.conf import conf
from outbox.database import DATABASE_AWAY
from outbox.exceptions import BrokerUnavailable
from outbox.relay.batch import Batch, Round
from outbox.relay.breaker import Breaker
from outbox.relay.gate import Gate
from outbox.relay.horizon import Horizon
from outbox.relay.per_process import PerProcess
from outbox.relay.sender import Sender
from outbox.relay.settling import Settling
from outbox.transports.base import Errors, Transport
from outbox.wording import describe

logger = logging.getLogger(__name__)

HEAL_INTERVAL = 60.0
"""Seconds between two looks for messages that wait for what is over. It is rare: a process died in between."""


class Relay:
    """Moves due rows to a broker. Not for use by several threads at once: give each its own.

    Args:
        transport: where to send; by default the one that ``settings.OUTBOX`` names.
        name: how attempts name it; by default host and process.
    """

    def __init__(self, transport: Transport | None = None, name: str = "") -> None:
        self._make_transport: Callable[[], Transport] = (
            (lambda: transport) if transport else import_string(conf().TRANSPORT)
        )
        self.transport = self._make_transport()
        self.name = name or f"relay@{socket.gethostname()}:{os.getpid()}"
        self.breaker = Breaker(conf().BREAKER_CAP)
        self.stopping = False
        self._gate = Gate()
        self._horizon = Horizon()
        self._sender: Sender[Errors] = Sender(self.name)
        self._settling = Settling(self.name)
        self._next_rescue = 0.0
        self._next_heal = 0.0

    def turn(self) -> Round:
        """What a relay does each time it comes round: rescue when that is due, then send what there is.

        Ends when the next rescue is due, however much is left: steady work must not keep lost work waiting.
        """
        if time.monotonic() >= self._next_rescue:
            self._next_rescue = time.monotonic() + conf().RESCUE_INTERVAL
            self.rescue()
        return self.drain(until=self._next_rescue)

    def run_once(self) -> Round:
        """One batch: returns what it did. With the broker away, nothing is claimed until the pause is over."""
        return self.drain(batches=1)

    def drain(self, until: float = math.inf, batches: float = math.inf) -> Round:
        """Batch after batch until nothing is due (or the broker is away, or the relay is told to stop).

        Args:
            until: the monotonic time, in seconds, after which no further batch is claimed.
            batches: how many at most.
        """
        done = Round()
        sending: Batch | None = None
        following: Batch | None = None
        more = not self.breaker.is_open
        try:
            while sending or more:
                if more := more and batches > 0 and not self.stopping and time.monotonic() < until:
                    following = Batch.claim(self.name, self._horizon, self._gate)
                    batches, more, done = batches - 1, following.more, done + following.done
                    if not following.messages and self._settling.is_busy:
                        more = True  # what is being settled may have held what was looked for
                        done += self._settling.wait()
                errors = self._outcome(sending) if sending else {}
                sent, sending, following = sending, self._begin(following), None
                if sent:
                    done += self._settling.settle(sent, errors, more=sending is not None)
                done += self._settling.settle_left()
        except BrokerUnavailable as error:
            done += self._give_back(error, sending, following)
        except Exception:
            self._let_go(sending, following)
            raise
        finally:
            done += self._settling.finish()
        return done + self._settling.settle_left()

    def rescue(self) -> claims.Rescued:
        """Bring back what dead relays, dead consumers and forgetful brokers left behind, all of it."""
        rescued = found = claims.rescue(conf().BATCH_SIZE)
        while sum(found) >= conf().BATCH_SIZE and not self.stopping:
            found = claims.rescue(conf().BATCH_SIZE)
            rescued = claims.Rescued(rescued.expired + found.expired, rescued.resent + found.resent)
        if any(rescued):
            logger.warning("Rescued %s expired and %s unconsumed messages", rescued.expired, rescued.resent)
        if time.monotonic() >= self._next_heal:
            self._next_heal = time.monotonic() + HEAL_INTERVAL
            for let_go in (claims.heal, controls.recall):
                while let_go(conf().BATCH_SIZE) >= conf().BATCH_SIZE and not self.stopping:
                    self._next_heal = 0.0  # there was much: look again soon
        return rescued

    @property
    def patience(self) -> float:
        """Seconds after which to come round again, though nobody wakes it: a probe of the broker, a rate limit's next
        slot, something that is to be settled again. Infinite when none of it is waited for."""
        return min(self.breaker.remaining or math.inf, self._gate.patience, self._settling.patience)

    def settle_left(self) -> Round:
        """Settle what another relay's claim held a moment ago; a fifth of a second at most. For whoever does not come
        round again after :attr:`patience`."""
        return self._settling.settle_all_left()

    def close(self) -> None:
        """Let go of the broker, once all that can be settled is."""
        with suppress(*DATABASE_AWAY):
            self.settle_left()
        self._sender.close()
        self.transport.close()

    def _begin(self, batch: Batch | None) -> Batch | None:
        """Have a batch sent, if it is still fresh; it goes back untouched when this relay is to stop."""
        if batch is None or not batch.messages:
            return None
        if self.stopping or batch.is_stale:
            self._horizon.forget()
            batch.release()
            return None
        batch.outcome = self._sender.submit(lambda: self.transport.send(batch.messages))
        return batch

    def _outcome(self, batch: Batch) -> Errors:
        """The messages that could not be sent. Keeps the lease while it waits, but not for ever.

        Raises:
            BrokerUnavailable: it is away, or does not answer.
        """
        try:
            errors = batch.wait(lambda: self.stopping)
        except OSError as error:  # of a transport that does not tell the broker's troubles apart
            raise BrokerUnavailable(f"The broker is away: {describe(error)}") from error
        if errors is None:
            self._sender.close()  # it may hang for long: leave it behind, and its connection with it
            self._sender, self.transport = Sender(self.name), self._make_transport()
            raise BrokerUnavailable("The broker does not answer")
        self.breaker.succeeded()
        return errors

    def _give_back(self, error: BrokerUnavailable, *batches: Batch | None) -> Round:
        self.breaker.failed()
        self._horizon.forget()
        self.transport.close()
        released = sum(batch.release() for batch in batches if batch)
        logger.warning(
            "%s; %s messages given back, next try in %.1f s", error, released, self.breaker.remaining
        )
        return Round(released=released)

    def _let_go(self, *batches: Batch | None) -> None:
        """Something went wrong: what is claimed need not wait for the end of its lease, if the database can be told."""
        self._horizon.forget()
        for batch in batches:
            if batch:
                batch.abandon()


class _Shared:
    """A relay, for one thread at a time."""

    def __init__(self) -> None:
        self.relay = Relay()
        self.in_use = threading.Lock()


_shared = PerProcess(_Shared, lambda _: True)


@contextmanager
def shared_relay() -> Iterator[Relay]:
    """This process's relay, kept between dispatch tasks so that its connection is, too. Waits for other threads."""
    shared = _shared.get()
    with shared.in_use:
        yield shared.relay

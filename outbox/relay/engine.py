"""The relay's one round: claim → send → settle. Whoever runs it (see :mod:`outbox.relay`) calls this."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from celery import current_app
from django.utils.module_loading import import_string

from outbox import claims
from outbox.backoff import RetryPolicy, default_policy
from outbox.claims import Claim, Claimed, Failure
from outbox.conf import conf
from outbox.exceptions import BrokerUnavailable, PermanentError, UnknownType
from outbox.relay.breaker import Breaker
from outbox.transports.base import Transport
from outbox.wording import describe

logger = logging.getLogger(__name__)


class Round(NamedTuple):
    """What rounds of a relay did, in messages."""

    claimed: int = 0
    sent: int = 0
    failed: int = 0
    released: int = 0

    def __add__(self, other: Round) -> Round:  # type: ignore[override]  # rounds add up, unlike tuples
        return Round(*(a + b for a, b in zip(self, other, strict=True)))


class Relay:
    """Moves due rows to a broker. Not for use by several threads at once: give each its own.

    Args:
        transport: where to send; by default the one that ``settings.OUTBOX`` names.
        name: how attempts name it; by default host and process.
    """

    def __init__(self, transport: Transport | None = None, name: str = "") -> None:
        self.transport = transport or import_string(conf().TRANSPORT)()
        self.name = name or f"relay@{socket.gethostname()}:{os.getpid()}"
        self.breaker = Breaker(conf().BREAKER_CAP)
        self.stopping = False
        self._next_rescue = 0.0

    def run_once(self) -> Round:
        """One round: returns what it did. With the broker away, nothing is claimed until the pause is over."""
        if self.breaker.is_open:
            return Round()
        claim = claims.claim(conf().BATCH_SIZE)
        if not claim.messages:
            return Round()
        try:
            return self._send_and_settle(claim)
        except BrokerUnavailable as error:
            return self._give_back(claim, error)
        except Exception:
            claims.release(claim, claim.ids)  # whatever it was, the next round need not wait
            raise

    def turn(self) -> Round:
        """What a relay does each time it comes round: rescue when that is due, then send what there is.

        Ends when the next rescue is due, however much is left: steady work must not keep lost work waiting.
        """
        if time.monotonic() >= self._next_rescue:
            self._next_rescue = time.monotonic() + conf().RESCUE_INTERVAL
            self.rescue()
        return self.drain(until=self._next_rescue)

    def drain(self, until: float = math.inf) -> Round:
        """Rounds until nothing is due (or the broker is away, or the relay is told to stop).

        Args:
            until: the monotonic time, in seconds, after which no further round begins.
        """
        total = Round()
        while not self.stopping and time.monotonic() < until:
            done = self.run_once()
            total += done
            if not done.claimed or done.released:
                break
        return total

    def rescue(self) -> claims.Rescued:
        """Bring back what dead relays, dead consumers and forgetful brokers left behind, all of it."""
        rescued = found = claims.rescue(conf().BATCH_SIZE)
        while sum(found) >= conf().BATCH_SIZE and not self.stopping:
            found = claims.rescue(conf().BATCH_SIZE)
            rescued = claims.Rescued(rescued.expired + found.expired, rescued.resent + found.resent)
        if any(rescued):
            logger.warning("Rescued %s expired and %s unconsumed messages", rescued.expired, rescued.resent)
        return rescued

    def close(self) -> None:
        """Let go of the broker."""
        self.transport.close()

    def _send_and_settle(self, claim: Claim) -> Round:
        errors = self.transport.send(claim.messages)
        self.breaker.succeeded()
        sent = claims.settle_sent(claim, [id_ for id_ in claim.ids if id_ not in errors])
        failed = claims.settle_failed(claim, _failures(claim.messages, errors), self.name)
        return Round(len(claim.messages), sent, failed)

    def _give_back(self, claim: Claim, error: BrokerUnavailable) -> Round:
        self.breaker.failed()
        released = claims.release(claim, claim.ids)
        logger.warning(
            "%s; %s messages given back, next try in %.1f s", error, released, self.breaker.remaining
        )
        return Round(len(claim.messages), released=released)


_local = threading.local()


def shared_relay() -> Relay:
    """The relay of this thread in this process, kept between dispatch tasks so that its connection is, too."""
    if getattr(_local, "pid", None) != os.getpid():  # a forked child must not share its parent's connection
        _local.relay, _local.pid = Relay(), os.getpid()
    return _local.relay  # type: ignore[no-any-return]  # threading.local is untyped


def _failures(messages: Sequence[Claimed], errors: Mapping[UUID, Exception]) -> list[Failure]:
    return [_failure(message, errors[message.id]) for message in messages if message.id in errors]


def _policy(message: Claimed) -> RetryPolicy:
    """When to send again: the consumer's own policy, where it has one."""
    task = current_app.tasks.get(message.consumer or message.type)
    return getattr(task, "delivery_retry", None) or default_policy()


def _failure(message: Claimed, error: Exception) -> Failure:
    """What becomes of a message that could not be sent. A policy that raises must not lose the row."""
    if isinstance(error, PermanentError | UnknownType):
        return Failure(message.id, describe(error), None)
    try:
        policy = _policy(message)
        delay = None if policy.exhausted(message.tries) else policy.delay(message.tries)
    except Exception as broken:
        logger.exception("The retry policy of %s is broken", message.type)
        return Failure(
            message.id, f"{describe(error)} (and its retry policy raised {describe(broken)})", None
        )
    return Failure(message.id, describe(error), delay)

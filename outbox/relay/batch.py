"""A batch on its way: claimed, waiting for its outcome, settled."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from celery import current_app

from outbox import claims
from outbox.backoff import RetryPolicy, default_policy, next_delay
from outbox.claims import Claim, Claimed, Failure
from outbox.closing import close_expired
from outbox.conf import conf
from outbox.database import DATABASE_AWAY
from outbox.exceptions import PermanentError, UnknownType
from outbox.patience import next_looks
from outbox.relay.gate import Gate
from outbox.relay.horizon import Horizon
from outbox.store.records import UNKNOWN
from outbox.transports.base import Errors
from outbox.wording import describe

logger = logging.getLogger(__name__)

LOOK_AROUND = 0.2
"""Seconds between two looks at whether the relay is to stop, while the broker has not answered."""
STOP_GRACE = 5.0
"""Seconds that a relay which is to stop waits for the broker's answer."""


class Round(NamedTuple):
    """What rounds of a relay did, in messages."""

    claimed: int = 0
    sent: int = 0
    failed: int = 0
    released: int = 0
    held: int = 0
    """Put back because of a pause or a rate limit."""
    expired: int = 0
    """Closed instead of sent: Celery's ``expires`` was over."""
    refused: int = 0
    """Settled too late: the lease had run out, and others had them."""

    def __add__(self, other: Round) -> Round:  # type: ignore[override]  # rounds add up, unlike tuples
        return Round(*(a + b for a, b in zip(self, other, strict=True)))


class Batch:
    """Messages claimed together. Times are this process's monotonic clock: they only measure its own lease."""

    def __init__(self, claim: Claim, messages: Sequence[Claimed], by: str) -> None:
        self.held = claim
        self.messages = messages
        self.left = messages
        self.by = by
        self.more = claim.more
        self.done = Round(claimed=len(claim.messages))
        self.renewed_at = time.monotonic()
        self.outcome: Future[Errors] = Future()

    @classmethod
    def claim(cls, by: str, horizon: Horizon, gate: Gate) -> Batch:
        """Take what is due, close what has expired, and put back what a pause or a rate limit does not let pass."""
        began = time.monotonic()
        claim = horizon.claim(lambda floors: claims.claim(conf().BATCH_SIZE, by, floors))
        try:
            admitted, done = admit(claim, gate)
            batch = cls(claim, admitted, by)
        except Exception:
            cls(claim, (), by).abandon()
            raise
        batch.renewed_at, batch.done = began, done
        return batch

    @property
    def ids(self) -> list[UUID]:
        """Of the messages to be sent."""
        return [message.id for message in self.messages]

    @property
    def age(self) -> float:
        """Seconds since its lease began."""
        return time.monotonic() - self.renewed_at

    @property
    def is_stale(self) -> bool:
        """Whether half the lease is over: what has not been started by then is better given back."""
        return self.age > conf().LEASE / 2

    def wait(self, stopping: Callable[[], bool]) -> Errors | None:
        """The outcome, the lease being renewed meanwhile; ``None`` when the broker does not answer for a whole lease,
        or for ``STOP_GRACE`` seconds of a relay that is to stop."""
        began = time.monotonic()
        while True:
            try:
                return self.outcome.result(LOOK_AROUND)
            except TimeoutError:  # ours, unless the sender raised it
                if self.outcome.done():
                    return self.outcome.result()
            patience = STOP_GRACE if stopping() else conf().LEASE
            if time.monotonic() - began > patience:
                return None
            if self.age > conf().LEASE / 3:
                claims.renew(self.held, self.ids)
                self.renewed_at = time.monotonic()

    def settle(self, errors: Errors) -> Round:
        """Write down what became of each message. What is in other hands by now is refused, and counted.

        Rows that another transaction holds are not waited for. They stay in :attr:`left`, to be settled again.
        """
        ids = [message.id for message in self.left]
        sent = claims.settle_sent(self.held, [id_ for id_ in ids if id_ not in errors])
        failed = claims.settle_failed(self.held, _failures(self.left, errors), self.by)
        if sent + failed == len(ids):
            self.left = []
            return Round(sent=sent, failed=failed)
        ours, refused = claims.unsettled(self.held, ids)
        self.left = [message for message in self.left if message.id in ours]
        if refused:
            logger.warning("%s: the lease had run out: %s outcomes were refused", self.by, refused)
        return Round(sent=sent, failed=failed, refused=refused)

    def release(self) -> int:
        """Give all of it back, the attempts refunded."""
        return claims.release(self.held, self.held.ids)

    def abandon(self) -> None:
        """Give back what the database can be told about; the lease ends the rest."""
        with suppress(*DATABASE_AWAY):
            self.release()


def admit(claim: Claim, gate: Gate) -> tuple[Sequence[Claimed], Round]:
    """The messages of a claim that may go now, and what became of the others."""
    expired = close_expired(claim)
    alive = [message for message in claim.messages if message.id not in expired]
    admitted, paused, deferred = gate.admit(alive)
    if claims.hold(claim, paused) < sum(len(ids) for ids in paused.values()):
        gate.forget()  # a pause was lifted this moment
    claims.defer(claim, deferred)
    held = len(alive) - len(admitted)
    return admitted, Round(claimed=len(claim.messages), held=held, expired=len(expired))


def _failures(messages: Sequence[Claimed], errors: Mapping[UUID, Exception]) -> list[Failure]:
    if not errors:
        return []
    looks = next_looks([id_ for id_, error in errors.items() if isinstance(error, UnknownType)])
    return [_failure(message, errors[message.id], looks) for message in messages if message.id in errors]


def _policy(message: Claimed) -> RetryPolicy:
    """When to send again: the consumer's own policy, where it has one."""
    task = current_app.tasks.get(message.consumer or message.type)
    return getattr(task, "delivery_retry", None) or default_policy()


def _failure(message: Claimed, error: Exception, looks: Mapping[UUID, float | None]) -> Failure:
    """What becomes of a message that could not be sent."""
    if message.id in looks:
        return Failure(message.id, describe(error), looks[message.id], UNKNOWN)
    if isinstance(error, PermanentError):
        return Failure(message.id, describe(error), None)
    delay, flaw = next_delay(_policy(message), message.tries)
    return Failure(message.id, describe(error) + flaw, delay)

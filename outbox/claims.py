"""The relay's half of the SQL: claim → settle, and back to Pending when that fails.

Each function is one statement, and each write carries the fence ``lock_id``: whoever lost its claim changes
nothing. All times are the database's. No row stays locked after a function returns (call them in
autocommit), so nothing is ever sent under a row lock.

The claim is the queue technique of PostgreSQL's ``SKIP LOCKED``: two relays never wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID, uuid4

from outbox.conf import conf
from outbox.database import execute, fetch

CLAIM = """
WITH due AS (
    SELECT id FROM outbox_message
    WHERE status = 'pending' AND next_attempt_at <= now()
    ORDER BY priority, next_attempt_at
    LIMIT %s
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox_message m
SET status = 'processing', attempts = m.attempts + 1, lock_id = %s,
    locked_until = now() + make_interval(secs => %s)
FROM due WHERE m.id = due.id
RETURNING m.id, m.type, m.consumer, m.payload, m.headers, m.queue, m.priority, m.attempts, m.correlation_id,
    m.attempts - m.redriven_after
"""

SETTLE_SENT = """
UPDATE outbox_message
SET status = 'sent', sent_at = now(), lock_id = NULL,
    locked_until = now() + make_interval(secs => least(%s * 2.0 ^ least(resends, 20), %s))
WHERE id IN (
    SELECT id FROM outbox_message
    WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing'
    FOR UPDATE SKIP LOCKED  -- a consumer that was quicker holds its row: it settles by itself
)
"""

SETTLE_FAILED = """
WITH given AS (
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::float8[]) AS given(id, error, delay)
), settled AS (
    UPDATE outbox_message m
    SET status = CASE WHEN given.delay IS NULL THEN 'failed' ELSE 'pending' END,
        next_attempt_at = now() + make_interval(secs => coalesce(given.delay, 0)),
        lock_id = NULL, locked_until = NULL, last_error = given.error
    FROM given
    WHERE m.id = given.id AND m.id IN (
        SELECT id FROM outbox_message WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing'
        FOR UPDATE SKIP LOCKED
    )
    RETURNING m.id, m.attempts, m.last_error
)
INSERT INTO outbox_attempt (message_id, number, stage, error, worker)
SELECT id, attempts, 'send', last_error, %s FROM settled
"""

RELEASE = """
UPDATE outbox_message
SET status = 'pending', attempts = greatest(attempts - 1, 0), lock_id = NULL, locked_until = NULL
WHERE id IN (
    SELECT id FROM outbox_message WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing'
    FOR UPDATE SKIP LOCKED
)
"""

RESCUE = """
WITH overdue AS (
    SELECT id, started_at IS NOT NULL AS started, status = 'sent' AND started_at IS NULL AS unconsumed,
           started_at IS NOT NULL AND %s <= 1 + (
               SELECT count(*) FROM outbox_attempt a
               WHERE a.message_id = outbox_message.id AND a.stage = 'lost' AND a.number > redriven_after
           ) AS hopeless
    FROM outbox_message
    WHERE status IN ('processing', 'sent') AND consumed_at IS NULL AND locked_until < now()
    ORDER BY locked_until
    LIMIT %s
    FOR UPDATE SKIP LOCKED
), rescued AS (
    UPDATE outbox_message m
    SET status = CASE WHEN hopeless THEN 'failed' ELSE 'pending' END,
        next_attempt_at = now(), lock_id = NULL, locked_until = NULL, started_at = NULL,
        attempts = greatest(m.attempts - (NOT started)::int, 0),  -- nobody worked on it: the attempt is refunded
        resends = least(m.resends + unconsumed::int, 32767),
        last_error = CASE WHEN started THEN %s ELSE m.last_error END
    FROM overdue WHERE m.id = overdue.id
    RETURNING m.id, m.attempts, m.last_error, started, unconsumed
), noted AS (
    INSERT INTO outbox_attempt (message_id, number, stage, error, worker)
    SELECT id, attempts, 'lost', last_error, '' FROM rescued WHERE started
)
SELECT count(*) FILTER (WHERE NOT unconsumed), count(*) FILTER (WHERE unconsumed) FROM rescued
"""

LOST = "The lease ran out: the worker died, or was slower than its lease."


class Claimed(NamedTuple):
    """A message in a relay's hands. ``payload`` and ``headers`` are JSON texts, as the database keeps them."""

    id: UUID
    type: str
    consumer: str
    payload: str
    headers: str
    queue: str
    priority: int
    attempts: int
    correlation_id: str
    tries: int
    """Attempts since it was published or redriven: what retry policies count."""


@dataclass(frozen=True)
class Claim:
    """A batch of messages held under one fencing value until the lease ends."""

    lock_id: UUID
    messages: list[Claimed]

    @property
    def ids(self) -> list[UUID]:
        """Of all its messages."""
        return [message.id for message in self.messages]


class Failure(NamedTuple):
    """A message that was not sent, why, and the seconds until its next attempt (``None``: Failed)."""

    id: UUID
    error: str
    delay: float | None


class Rescued(NamedTuple):
    """Messages that came back: from holders that died, and from brokers that lost them."""

    expired: int
    resent: int


def claim(limit: int) -> Claim:
    """Take up to ``limit`` due messages: Pending → Processing, one attempt counted, leased to us."""
    lock_id = uuid4()
    rows = fetch(CLAIM, [limit, lock_id, conf().LEASE])
    return Claim(lock_id, [Claimed(*row) for row in rows])


def settle_sent(claim: Claim, ids: Sequence[UUID]) -> int:
    """Processing → Sent for those still ours. From now on they wait for a consumer, or for a resend."""
    if not ids:
        return 0
    options = conf()
    return execute(SETTLE_SENT, [options.RESEND_AFTER, options.RESEND_CAP, list(ids), claim.lock_id])


def settle_failed(claim: Claim, failures: Iterable[Failure], worker: str) -> int:
    """Processing → Pending (later) or Failed for those still ours, each error kept as an attempt."""
    failures = list(failures)
    if not failures:
        return 0
    ids, errors, delays = (list(column) for column in zip(*failures, strict=True))
    return execute(SETTLE_FAILED, [ids, errors, delays, ids, claim.lock_id, worker])


def release(claim: Claim, ids: Sequence[UUID]) -> int:
    """Processing → Pending for those still ours, the attempt refunded: it was not the message's fault."""
    if not ids:
        return 0
    return execute(RELEASE, [list(ids), claim.lock_id])


def rescue(limit: int) -> Rescued:
    """Give back messages whose lease ran out, and resend those that nobody consumed in time.

    A message whose consumers died ``MAX_LOST_LEASES`` times in the middle of it ends as Failed.
    """
    return Rescued(*fetch(RESCUE, [conf().MAX_LOST_LEASES, limit, LOST])[0])

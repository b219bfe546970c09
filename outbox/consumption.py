"""The consumer's half of the SQL: an effect happens once, because its mark commits with it.

A delivery carries the number of its attempt. It may run only while that attempt is on its way (Processing or Sent) and
the row is not consumed; so duplicates, late and forged deliveries and those of purged rows find no row and do nothing.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from outbox.database import execute, fetch

CONSUME = """
UPDATE outbox_message
SET consumed_at = now(), status = 'sent', sent_at = coalesce(sent_at, now()), lock_id = NULL, locked_until = NULL
WHERE id = %s AND attempts = %s AND consumed_at IS NULL AND started_at IS NULL
  AND status IN ('processing', 'sent')
"""

TAKE_LEASE = """
UPDATE outbox_message
SET started_at = now(), status = 'sent', sent_at = coalesce(sent_at, now()),
    lock_id = %s, locked_until = now() + make_interval(secs => %s)
WHERE id = %s AND attempts = %s AND consumed_at IS NULL AND started_at IS NULL
  AND status IN ('processing', 'sent')
"""

FINISH_LEASE = """
UPDATE outbox_message
SET consumed_at = now(), lock_id = NULL, locked_until = NULL
WHERE id = %s AND lock_id = %s AND consumed_at IS NULL
"""

FAIL = """
WITH failed AS (
    UPDATE outbox_message
    SET status = CASE WHEN %s::float8 IS NULL THEN 'failed' ELSE 'pending' END,
        next_attempt_at = now() + make_interval(secs => coalesce(%s::float8, 0)),
        lock_id = NULL, locked_until = NULL, started_at = NULL, last_error = %s
    WHERE id = %s AND attempts = %s AND consumed_at IS NULL AND status IN ('processing', 'sent')
      AND (started_at IS NULL OR lock_id = %s)
    RETURNING id, attempts, last_error
)
INSERT INTO outbox_attempt (message_id, number, stage, error, worker)
SELECT id, attempts, 'consume', last_error, %s FROM failed
"""

RESCHEDULE = """
WITH rescheduled AS (
    UPDATE outbox_message
    SET status = 'pending', type = %s, consumer = %s, payload = %s::jsonb, headers = headers || %s::jsonb,
        next_attempt_at = coalesce(%s::timestamptz, now() + make_interval(secs => %s)),
        lock_id = NULL, locked_until = NULL, started_at = NULL, consumed_at = NULL,
        last_error = %s
    WHERE id = %s AND attempts = %s AND status IN ('processing', 'sent')
      AND (consumed_at IS NULL OR consumed_at = now())  -- now(): marked in this very transaction
      AND (started_at IS NULL OR lock_id = %s)
    RETURNING id, attempts, last_error
)
INSERT INTO outbox_attempt (message_id, number, stage, error, worker)
SELECT id, attempts, 'consume', last_error, %s FROM rescheduled
"""

REARM = """
UPDATE outbox_message
SET status = 'pending', consumed_at = NULL, started_at = NULL, resends = 0, lock_id = NULL, locked_until = NULL,
    next_attempt_at = now() + make_interval(secs => %s), last_error = %s
WHERE id = %s AND discarded_at IS NULL
RETURNING attempts
"""

NOTE_ATTEMPT = """
INSERT INTO outbox_attempt (message_id, number, stage, error, worker) VALUES (%s, %s, 'consume', %s, %s)
"""


CALL_OFF = """
UPDATE outbox_message
SET status = 'failed', discarded_at = now(), last_error = %s, lock_id = NULL, locked_until = NULL
WHERE id = %s AND consumed_at IS NULL AND discarded_at IS NULL
"""


def consume(message_id: UUID, attempt: int) -> bool:
    """Mark the message consumed, in the caller's transaction: commit it together with the effect.

    A duplicate that runs at the same time waits for this transaction and then gets ``False``.
    """
    return execute(CONSUME, [message_id, attempt]) == 1


def take_lease(message_id: UUID, attempt: int, seconds: float) -> UUID | None:
    """Hold the message for work that does not fit in a transaction; ``None`` when it is not ours to do.

    Not guaranteed: that the work happens once. A holder that dies is followed by another attempt.
    """
    lock_id = uuid4()
    return lock_id if execute(TAKE_LEASE, [lock_id, seconds, message_id, attempt]) else None


def finish_lease(message_id: UUID, lock_id: UUID) -> bool:
    """Mark leased work as consumed; ``False`` when the lease was lost to another holder meanwhile."""
    return execute(FINISH_LEASE, [message_id, lock_id]) == 1


def fail(
    message_id: UUID,
    attempt: int,
    error: str,
    delay: float | None,
    *,
    worker: str = "",
    lock_id: UUID | None = None,
) -> bool:
    """Note a failed consumption: again in ``delay`` seconds, or Failed for a person when that is ``None``.

    Returns ``False``, and changes nothing, when this delivery is no longer the row's current one.
    """
    return execute(FAIL, [delay, delay, error, message_id, attempt, lock_id, worker]) == 1


def reschedule(
    message_id: UUID,
    attempt: int,
    error: str,
    next_attempt: tuple[str, str, str, float, str | None],
    *,
    worker: str = "",
    lock_id: UUID | None = None,
) -> bool:
    """Schedule the attempt that a task asked for: task, payload, headers, delay (s), eta (ISO 8601).

    Returns ``False``, and changes nothing, when this delivery is no longer the row's current one.
    """
    task, payload, headers, delay, eta = next_attempt
    params = [task, task, payload, headers, eta, delay, error, message_id, attempt, lock_id, worker]
    return execute(RESCHEDULE, params) == 1


def rearm(message_id: UUID, delay: float, error: str, *, worker: str = "") -> bool:
    """Make a message due again in ``delay`` seconds, consumed or not: the same id, a further attempt.

    The caller holds the fence (a saga's step, a task's own lease) and says so in the same transaction. Returns
    ``False`` when there is no such message any more: discarded, or deleted.
    """
    rows = fetch(REARM, [delay, error, message_id])
    if rows and error:
        execute(NOTE_ATTEMPT, [message_id, rows[0][0], error, worker])
    return bool(rows)


def call_off(message_id: UUID, reason: str) -> bool:
    """Close a message that is no longer wanted: copies on their way do nothing.

    Returns ``False`` when it was consumed already.
    """
    return execute(CALL_OFF, [reason, message_id]) == 1

"""The consumer's statements. Each carries the delivery's fence: the number of its attempt, or its lease."""

from __future__ import annotations

from outbox.models.message import DISTRIBUTE
from outbox.store.postgresql.claiming import IN_MEMORY

ADDRESSED = f"(consumer = %s OR %s = '' OR (consumer = '' AND %s IN (type, '{DISTRIBUTE}')))"
"""Delivered to the task that the row names; one without a consumer goes to the task of its type, or to all subscribers.

An empty name is not compared: the caller is no task.
"""

UNCONSUMED = "coalesce(consumed_at, 'infinity') = 'infinity'"
"""``consumed_at IS NULL``, in words that the condition of no partial index has: so that a row is found by its id.

While the table is small, or not analysed, the planner takes the index of leased rows for as good, and a prepared
statement keeps to that when there are thousands of them.
"""

CONSUME = f"""
UPDATE outbox_message
SET consumed_at = now(), status = 'sent', sent_at = coalesce(sent_at, now()), lock_id = NULL, locked_until = NULL
WHERE id = %s AND attempts = %s AND {UNCONSUMED} AND started_at IS NULL
  AND status IN ('processing', 'sent') AND {ADDRESSED}
RETURNING key <> ''
"""  # noqa: S608  (constants only)

TAKE_LEASE = f"""
UPDATE outbox_message
SET started_at = now(), status = 'sent', sent_at = coalesce(sent_at, now()),
    lock_id = %s, locked_by = %s, locked_until = now() + make_interval(secs => %s)
WHERE id = %s AND attempts = %s AND {UNCONSUMED} AND started_at IS NULL
  AND status IN ('processing', 'sent') AND {ADDRESSED} AND {IN_MEMORY}
"""  # noqa: S608  (constants only)

FINISH_LEASE = """
UPDATE outbox_message
SET consumed_at = now(), lock_id = NULL, locked_until = NULL
WHERE id = %s AND lock_id = %s AND consumed_at IS NULL
RETURNING key <> ''
"""

FAIL = f"""
WITH failed AS (
    UPDATE outbox_message
    SET status = CASE WHEN %s::float8 IS NULL THEN 'failed' ELSE 'pending' END, attempts = attempts - %s::int,
        next_attempt_at = now() + make_interval(secs => coalesce(%s::float8, 0)),
        lock_id = NULL, locked_until = NULL, started_at = NULL, last_error = %s, resends = 0
    WHERE id = %s AND attempts = %s AND {UNCONSUMED} AND status IN ('processing', 'sent')
      AND (started_at IS NULL OR lock_id = %s)
    RETURNING id, last_error
)
INSERT INTO outbox_attempt (message_id, number, stage, error, worker)
SELECT id, %s, %s, last_error, %s FROM failed
"""  # noqa: S608  (constants only)

RESCHEDULE = """
WITH rescheduled AS (
    UPDATE outbox_message
    SET status = 'pending', type = %s, consumer = %s, payload = %s::jsonb, headers = headers || %s::jsonb,
        queue = %s, priority = %s,
        next_attempt_at = coalesce(%s::timestamptz, now() + make_interval(secs => %s)),
        lock_id = NULL, locked_until = NULL, started_at = NULL, consumed_at = NULL, resends = 0,
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
SET status = 'failed', discarded_at = now(), last_error = %s, lock_id = NULL, locked_until = NULL,
    waits_for = NULL, schedule_key = NULL
WHERE id = %s AND consumed_at IS NULL AND discarded_at IS NULL
RETURNING key <> ''
"""

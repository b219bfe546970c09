"""The relay's statements. Each write carries the fence ``lock_id``: whoever lost its claim changes nothing."""

from __future__ import annotations

IN_MEMORY = "(SELECT CASE WHEN %s THEN set_config('synchronous_commit', 'off', true) END) IS DISTINCT FROM ''"
"""Makes this statement's commit not wait for the disk, where the statement is a transaction of its own.

For writes that may be lost with the server: they only say who is at work, and what is lost is done again. What others
must never see undone (a publish, a consumption) waits for the disk.
"""

CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT due.* FROM unnest(%s::timestamptz[], %s::uuid[]) WITH ORDINALITY AS floor(at, id, place)
    CROSS JOIN LATERAL (
        SELECT id, consumer, key, occurred_at, priority, next_attempt_at, put_off_until FROM outbox_message
        WHERE status = 'pending' AND waits_for IS NULL AND priority = floor.place - 1
          AND next_attempt_at <= now() AND (next_attempt_at, id) > (floor.at, floor.id)
        ORDER BY next_attempt_at, id
        LIMIT %s
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT %s
), behind AS MATERIALIZED (  -- those of a key of which an earlier one is not over, or a later one is on its way
    SELECT id, occurred_at, coalesce((
        SELECT id FROM outbox_message a
        WHERE a.consumer = due.consumer AND a.key = due.key AND a.key <> ''
          AND a.consumed_at IS NULL AND a.discarded_at IS NULL AND (a.status <> 'failed' OR a.blocks_key)
          AND (a.occurred_at, a.id) < (due.occurred_at, due.id)
        ORDER BY a.occurred_at DESC, a.id DESC LIMIT 1
    ), (
        SELECT id FROM outbox_message a
        WHERE a.consumer = due.consumer AND a.key = due.key AND a.key <> '' AND a.id <> due.id
          AND a.status IN ('processing', 'sent') AND a.consumed_at IS NULL AND a.discarded_at IS NULL
    )) AS ahead
    FROM due WHERE key <> ''
), held AS MATERIALIZED (  -- locked, so that they cannot be consumed before the ones behind them are known to wait
    SELECT id FROM outbox_message
    WHERE id IN (SELECT ahead FROM behind) AND consumed_at IS NULL AND discarded_at IS NULL
      AND (status <> 'failed' OR blocks_key)
    FOR SHARE SKIP LOCKED
), parked AS (
    UPDATE outbox_message m SET waits_for = held.id
    FROM behind JOIN held ON held.id = behind.ahead WHERE m.id = behind.id
    RETURNING m.id
), passed_by AS MATERIALIZED (  -- earlier ones that waited for one of these while it was on its way: it no longer is
    SELECT m.id FROM outbox_message m JOIN behind ON m.waits_for = behind.id
    WHERE (m.occurred_at, m.id) < (behind.occurred_at, behind.id)
    FOR UPDATE OF m SKIP LOCKED
), let_go AS (
    UPDATE outbox_message m SET waits_for = NULL, next_attempt_at = greatest(m.next_attempt_at, now())
    FROM passed_by WHERE m.id = passed_by.id
), claimed AS (
    UPDATE outbox_message m
    SET status = 'processing', attempts = m.attempts + 1, schedule_key = NULL, lock_id = %s, locked_by = %s,
        locked_until = now() + make_interval(secs => %s)
    FROM due
    WHERE m.id = due.id AND {IN_MEMORY} AND (SELECT count(*) FROM parked) >= 0  -- first of all
      AND due.id NOT IN (SELECT id FROM behind WHERE ahead IS NOT NULL)
    RETURNING m.id, m.type, m.consumer, m.payload, m.headers, m.queue, m.priority, m.attempts,
        m.correlation_id, m.attempts - m.redriven_after, m.key, due.put_off_until IS NOT NULL
)
SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM parked), (
    SELECT jsonb_object_agg(priority, jsonb_build_array(next_attempt_at, id)) FROM (
        SELECT DISTINCT ON (priority) priority, next_attempt_at, id FROM due
        ORDER BY priority, next_attempt_at DESC, id DESC
    ) AS last
), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
UNION ALL SELECT NULL, NULL, NULL, claimed.* FROM claimed
"""  # noqa: S608  (constants only)
"""Pending → Processing, the queue technique of ``SKIP LOCKED``: two relays never wait for each other.

A keyed message that is not the first of its key is not taken: it begins to wait for the one ahead of it, which takes
it out of the index of due rows until that one is done. ``floor`` says, for each priority, after which row of that
index to begin (see :mod:`outbox.relay.horizon`). A late commit may let two relays see two heads of a key: the
unique index ``outbox_one_of_key_on_its_way`` refuses the second.
"""

RENEW = """
UPDATE outbox_message SET locked_until = now() + make_interval(secs => %s)
WHERE id IN (
    SELECT id FROM outbox_message WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing'
    FOR UPDATE SKIP LOCKED  -- whoever consumes it needs no lease of ours
)
"""

SETTLE_SENT = f"""
UPDATE outbox_message
SET status = 'sent', sent_at = now(), lock_id = NULL,
    locked_until = now() + make_interval(secs => least(%s * 2.0 ^ least(resends, 20), %s))
WHERE id IN (
    SELECT id FROM outbox_message
    WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing' AND {IN_MEMORY}
    FOR UPDATE SKIP LOCKED  -- a consumer that was quicker holds its row: it settles by itself
)
"""  # noqa: S608  (constants only)

SETTLE_FAILED = """
WITH given AS (
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::float8[], %s::text[], %s::bool[])
        AS given(id, error, delay, stage, refunded)
), settled AS (
    UPDATE outbox_message m
    SET status = CASE WHEN given.delay IS NULL THEN 'failed' ELSE 'pending' END,
        attempts = m.attempts - given.refunded::int,
        next_attempt_at = now() + make_interval(secs => coalesce(given.delay, 0)),
        lock_id = NULL, locked_until = NULL, last_error = given.error
    FROM given
    WHERE m.id = given.id AND m.id IN (
        SELECT id FROM outbox_message WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing'
        FOR UPDATE SKIP LOCKED
    )
    RETURNING m.id, m.attempts + given.refunded::int AS attempt, given.stage, m.last_error
)
INSERT INTO outbox_attempt (message_id, number, stage, error, worker)
SELECT id, attempt, stage, last_error, %s FROM settled
"""

RELEASE = """
UPDATE outbox_message
SET status = 'pending', attempts = greatest(attempts - 1, 0),
    next_attempt_at = greatest(next_attempt_at, now()), lock_id = NULL, locked_until = NULL
WHERE id IN (
    SELECT id FROM outbox_message WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing'
    FOR UPDATE SKIP LOCKED
)
"""

DEFER = """
UPDATE outbox_message m
SET status = 'pending', attempts = greatest(m.attempts - 1, 0), lock_id = NULL, locked_until = NULL,
    next_attempt_at = now() + make_interval(secs => given.delay),
    put_off_until = now() + make_interval(secs => given.delay)
FROM unnest(%s::uuid[], %s::float8[]) AS given(id, delay)
WHERE m.id = given.id AND m.id IN (
    SELECT id FROM outbox_message WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing'
    FOR UPDATE SKIP LOCKED
)
"""

HOLD = """
UPDATE outbox_message m
SET status = 'pending', attempts = greatest(m.attempts - 1, 0), lock_id = NULL, locked_until = NULL,
    waits_for = given.pause
FROM unnest(%s::uuid[], %s::uuid[]) AS given(id, pause)
WHERE m.id = given.id AND m.id IN (
    SELECT id FROM outbox_message WHERE id = ANY(%s) AND lock_id = %s AND status = 'processing'
    FOR UPDATE SKIP LOCKED
)
  AND EXISTS (SELECT 1 FROM outbox_pause p WHERE p.id = given.pause)
"""

UNSETTLED = """
SELECT m.id, m.status = 'processing' AND m.lock_id = ours.lock_id
FROM (
    SELECT id, attempt, %s::uuid AS lock_id FROM unnest(%s::uuid[], %s::int[]) AS given(id, attempt)
) AS ours JOIN outbox_message m ON m.id = ours.id
WHERE (m.status = 'processing' AND m.lock_id = ours.lock_id)
   OR (
      ((m.status = 'processing' AND m.attempts = ours.attempt) OR (m.status = 'pending' AND m.attempts < ours.attempt))
      AND NOT EXISTS (
          SELECT 1 FROM outbox_attempt a
          WHERE a.message_id = m.id AND a.number = ours.attempt AND a.stage = 'unknown'
      )
   )
"""
"""Of messages that a settle did not find: those that are still ours, because another transaction held their rows; and
those that others have now, or that came back with their attempt refunded.

A consumer that was quicker, whatever came of it, is no refusal: it keeps the attempt, or has noted that it did not know
the message.
"""

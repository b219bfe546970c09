"""What brings back the messages that somebody left behind."""

from __future__ import annotations

RESCUE = """
WITH overdue AS (
    SELECT id, started_at IS NOT NULL AS started, status = 'sent' AND started_at IS NULL AS unconsumed,
           CASE WHEN started_at IS NOT NULL THEN %s <= 1 + (
               SELECT count(*) FROM outbox_attempt a
               WHERE a.message_id = outbox_message.id AND a.stage = 'lost' AND a.number > redriven_after
           ) ELSE status = 'sent' AND resends >= %s END AS hopeless
    FROM outbox_message
    WHERE status IN ('processing', 'sent') AND consumed_at IS NULL AND locked_until < now()
    ORDER BY locked_until
    LIMIT %s
    FOR UPDATE SKIP LOCKED
), rescued AS (
    UPDATE outbox_message m
    SET status = CASE WHEN hopeless THEN 'failed' ELSE 'pending' END,
        next_attempt_at = now(), lock_id = NULL, locked_until = NULL, started_at = NULL,
        attempts = greatest(m.attempts - (NOT started AND NOT hopeless)::int, 0),  -- nobody worked on it: refunded
        resends = least(m.resends + unconsumed::int, 32767),
        last_error = CASE WHEN started THEN %s WHEN hopeless THEN %s ELSE m.last_error END
    FROM overdue WHERE m.id = overdue.id
    RETURNING m.id, m.attempts, m.last_error, started OR hopeless AS noted, unconsumed
), noted AS (
    INSERT INTO outbox_attempt (message_id, number, stage, error, worker)
    SELECT id, attempts, 'lost', last_error, '' FROM rescued WHERE noted
)
SELECT count(*) FILTER (WHERE NOT unconsumed), count(*) FILTER (WHERE unconsumed) FROM rescued
"""

OVER = "a.consumed_at IS NOT NULL OR a.discarded_at IS NOT NULL OR (a.status = 'failed' AND NOT a.blocks_key)"
"""A message that holds back nobody any more."""

FREE = f"""
UPDATE outbox_message m SET waits_for = NULL, next_attempt_at = greatest(m.next_attempt_at, now())
FROM outbox_message a
WHERE m.waits_for = ANY(%s) AND a.id = m.waits_for AND ({OVER})
"""  # noqa: S608  (constants only)

HEAL = f"""
UPDATE outbox_message SET waits_for = NULL, next_attempt_at = greatest(next_attempt_at, now()) WHERE id IN (
    SELECT m.id FROM outbox_message m
    WHERE m.waits_for IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM outbox_pause p WHERE p.id = m.waits_for)
      AND NOT EXISTS (
          SELECT 1 FROM outbox_message a WHERE a.id = m.waits_for AND NOT ({OVER})
            AND NOT (a.status = 'pending' AND (a.occurred_at, a.id) > (m.occurred_at, m.id))
      )
    LIMIT %s
    FOR UPDATE SKIP LOCKED
)
"""  # noqa: S608  (constants only)
"""Those that wait for what is over or gone: a process died between the end of the one and the freeing of the other.

And those that wait for a later one of their key which was on its way and no longer is. What is let go becomes due now,
at the end of the line: a relay that does not look from the start finds it there.
"""

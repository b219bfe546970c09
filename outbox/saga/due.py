"""The watchdog's half of the SQL: what is due by itself, and the signals of the outside world."""
# ruff: noqa: S608  (only constants of this file are put together)

from __future__ import annotations

from uuid import UUID

from outbox.database import fetch
from outbox.saga import registry

OPEN = "s.status IN ('running', 'compensating')"
NOT_PAUSED = (
    "s.paused_at IS NULL AND NOT EXISTS"
    " (SELECT 1 FROM saga_sagapause z WHERE z.definition = s.definition AND z.ended_at IS NULL)"
)
LIVE = "m.consumed_at IS NULL AND m.status <> 'failed'"
ORPHAN_AGE = "interval '1 minute'"

PAST_LEASE = f"""
SELECT p.saga_id FROM saga_sagastep p JOIN saga_saga s ON s.id = p.saga_id
WHERE p.status IN ('running', 'waiting') AND p.locked_until < now() AND {OPEN}
  AND (p.status = 'running' OR ({NOT_PAUSED}))
ORDER BY p.locked_until LIMIT %s
"""

PAST_DEADLINE = f"""
SELECT s.id FROM saga_saga s
WHERE s.status = 'running' AND NOT s.cancel_requested AND s.deadline_at < now() AND {NOT_PAUSED}
ORDER BY s.deadline_at LIMIT %s
"""

ORPHANED = f"""
SELECT p.saga_id FROM saga_sagastep p JOIN saga_saga s ON s.id = p.saga_id
WHERE p.status = 'scheduled' AND NOT p.held AND p.scheduled_at < now() - {ORPHAN_AGE} AND {OPEN}
  AND NOT EXISTS (SELECT 1 FROM outbox_message m WHERE m.id = p.message_id AND {LIVE})
LIMIT %s
"""

RELEASED = f"""
SELECT p.saga_id FROM saga_sagastep p JOIN saga_saga s ON s.id = p.saga_id
WHERE p.status = 'scheduled' AND p.held AND {OPEN} AND {NOT_PAUSED}
LIMIT %s
"""

SIGNALLED = f"""
SELECT p.saga_id FROM saga_sagastep p JOIN saga_saga s ON s.id = p.saga_id
WHERE p.status = 'waiting' AND {OPEN} AND EXISTS (
    SELECT 1 FROM saga_sagasignal g
    WHERE g.definition = s.definition AND g.key = s.key AND g.event = p.event AND g.taken_at IS NULL)
LIMIT %s
"""

OUTDATED = f"""
SELECT s.id FROM saga_saga s
WHERE {OPEN} AND (s.definition, s.version) IN (SELECT * FROM unnest(%s::text[], %s::int[]))
ORDER BY s.id LIMIT %s
"""

LIVE_MESSAGE = f"SELECT 1 FROM outbox_message m WHERE m.id = %s AND {LIVE}"

GRACE = "interval '3 minutes'"
LONG_OVERDUE = f"""
SELECT 1 FROM saga_saga s WHERE s.id = %s AND (s.deadline_at < now() - {GRACE} OR EXISTS (
    SELECT 1 FROM saga_sagastep p LEFT JOIN outbox_message m ON m.id = p.message_id
    WHERE p.saga_id = s.id AND (
        (p.status IN ('running', 'waiting') AND p.locked_until < now() - {GRACE})
        OR (p.status = 'scheduled' AND m.status IS NOT DISTINCT FROM 'failed'))))
"""

KEEP_SIGNAL = """
INSERT INTO saga_sagasignal (definition, key, event, signal_id, payload)
VALUES (%s, %s, %s, %s, %s::jsonb)
ON CONFLICT DO NOTHING
"""

TAKE_SIGNAL = """
UPDATE saga_sagasignal SET taken_at = now()
WHERE id = (
    SELECT id FROM saga_sagasignal
    WHERE definition = %s AND key = %s AND event = %s AND taken_at IS NULL
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING signal_id, payload
"""

PARK = """
WITH mine AS (
    SELECT id FROM saga_saga
    WHERE id = %s AND status IN ('running', 'compensating')
    FOR UPDATE SKIP LOCKED
), parked AS (
    UPDATE saga_saga s
    SET status = 'needs_attention', attention = %s, revision = revision + 1, entries = entries + 1
    FROM mine WHERE s.id = mine.id
    RETURNING s.id, s.entries
)
INSERT INTO saga_sagatransition (saga_id, number, what, actor, detail, step, direction, traceparent)
SELECT id, entries, %s, %s, %s, '', '', '' FROM parked
"""


def outdated(limit: int) -> list[UUID]:
    """Open sagas of a version that is not registered any more, and that the newest one migrates from."""
    behind = [(name, version) for name in registry.names() for version in registry.behind(name)]
    if not behind:
        return []
    names, versions = (list(column) for column in zip(*behind, strict=True))
    return [row[0] for row in fetch(OUTDATED, [names, versions, limit])]

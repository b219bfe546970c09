"""The audit's checks of sagas."""

from __future__ import annotations

from collections.abc import Iterator

from outbox.audit import GRACE_SECONDS, audit_check
from outbox.database import fetch


@audit_check
def stuck_sagas() -> Iterator[str]:
    """G4: a saga that has not ended has a step with a message on its way or a lease, or needs attention."""
    rows = fetch(
        "SELECT s.id, s.key, s.status FROM saga_saga s"
        " WHERE s.status IN ('running', 'compensating') AND NOT EXISTS ("
        "   SELECT 1 FROM saga_sagastep p LEFT JOIN outbox_message m ON m.id = p.message_id"
        "   WHERE p.saga_id = s.id AND ("
        "     (p.status = 'running' AND p.locked_until > now() - make_interval(secs => %s))"
        "     OR (p.status = 'scheduled' AND m.consumed_at IS NULL AND m.status <> 'failed')))"
        " ORDER BY s.id LIMIT 100",
        [GRACE_SECONDS],
    )
    for id_, key, status in rows:
        yield f"Saga {id_} ({key}) is {status} and nothing of it is on its way."


@audit_check
def compensation_in_reverse() -> Iterator[str]:
    """Compensations start in the reverse order of their steps."""
    rows = fetch(
        "SELECT a.saga_id, a.name, b.name FROM saga_sagastep a JOIN saga_sagastep b ON a.saga_id = b.saga_id"
        " WHERE a.direction = 'compensation' AND b.direction = 'compensation'"
        " AND a.position < b.position AND a.id < b.id LIMIT 100"
    )
    for saga_id, earlier, later in rows:
        yield f"Saga {saga_id} undid {earlier} before {later}."


@audit_check
def compensated_means_undone() -> Iterator[str]:
    """A compensated saga has no step that did or may have happened and was not undone."""
    rows = fetch(
        "SELECT p.saga_id, p.name FROM saga_sagastep p JOIN saga_saga s ON s.id = p.saga_id"
        " WHERE s.status = 'compensated' AND p.direction = 'action' AND p.status IN ('succeeded', 'unknown')"
        " AND NOT EXISTS (SELECT 1 FROM saga_sagastep c WHERE c.saga_id = p.saga_id AND c.name = p.name"
        "   AND c.direction = 'compensation' AND c.status = 'succeeded') LIMIT 100"
    )
    for saga_id, name in rows:
        yield f"Saga {saga_id} is compensated, and its step {name} is not undone."

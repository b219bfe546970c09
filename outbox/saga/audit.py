"""The audit's checks of sagas."""

from __future__ import annotations

from collections.abc import Iterator

from outbox.audit import GRACE_SECONDS, audit_check
from outbox.database import fetch
from outbox.saga.due import NOT_PAUSED


@audit_check
def stuck_sagas() -> Iterator[str]:
    """G4: a saga that has not ended has a step with a message on its way, a lease or a time-out, or a person waits."""
    rows = fetch(
        "SELECT s.id, s.key, s.status FROM saga_saga s"  # noqa: S608  (our constant)
        f" WHERE s.status IN ('running', 'compensating') AND {NOT_PAUSED} AND NOT EXISTS ("
        "   SELECT 1 FROM saga_sagastep p LEFT JOIN outbox_message m ON m.id = p.message_id"
        "   WHERE p.saga_id = s.id AND ("
        "     (p.status IN ('running', 'waiting') AND p.locked_until > now() - make_interval(secs => %s))"
        "     OR (p.status = 'scheduled' AND p.held)"  # released by the next round of the watchdog
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
        " WHERE s.status = 'compensated' AND p.direction = 'action' AND (p.status IN ('succeeded', 'unknown')"
        "   OR (p.status = 'skipped' AND p.may_have_happened)) AND p.event = ''"
        " AND NOT EXISTS (SELECT 1 FROM saga_sagastep c WHERE c.saga_id = p.saga_id AND c.name = p.name"
        "   AND c.direction = 'compensation' AND c.status IN ('succeeded', 'skipped')) LIMIT 100"
    )
    for saga_id, name in rows:
        yield f"Saga {saga_id} is compensated, and its step {name} is not undone."


@audit_check
def history_without_gaps() -> Iterator[str]:
    """Every transition of a saga is in its history, numbered from 1."""
    rows = fetch(
        "SELECT s.id, s.entries, count(t.id), coalesce(max(t.number), 0)"
        " FROM saga_saga s LEFT JOIN saga_sagatransition t ON t.saga_id = s.id"
        " GROUP BY s.id HAVING count(t.id) <> s.entries OR coalesce(max(t.number), 0) <> s.entries LIMIT 100"
    )
    for saga_id, entries, count, latest in rows:
        yield f"Saga {saga_id} has written {entries} entries of history; {count} are there, up to number {latest}."


@audit_check
def only_what_may_have_happened_is_undone() -> Iterator[str]:
    """No step is compensated that certainly did not happen."""
    rows = fetch(
        "SELECT c.saga_id, c.name, p.status FROM saga_sagastep c"
        " JOIN saga_sagastep p ON p.saga_id = c.saga_id AND p.name = c.name AND p.direction = 'action'"
        " WHERE c.direction = 'compensation' AND NOT p.may_have_happened"
        " AND p.status NOT IN ('succeeded', 'unknown') LIMIT 100"
    )
    for saga_id, name, status in rows:
        yield f"Saga {saga_id} undoes {name}, which is {status} and did not happen."

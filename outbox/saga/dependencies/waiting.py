"""The steps that wait for a service: noted while they wait, woken when there is room."""

from __future__ import annotations

from outbox.database import atomic, execute, fetch
from outbox.redrive import send_now
from outbox.saga.dependencies.declaration import Dependency

MOST_WOKEN = 1000
"""Steps that recovery wakes at once, each at its time on the ramp. Further ones come by themselves."""

NOTE = """
INSERT INTO saga_dependency_wait (step_id, dependency, reason, until, ticket_at)
VALUES (%(step)s, %(name)s, %(reason)s, now() + make_interval(secs => %(delay)s),
        now() + make_interval(secs => %(ticket)s::float8))
ON CONFLICT (step_id) DO UPDATE
SET dependency = excluded.dependency, reason = excluded.reason, until = excluded.until, ticket_at = excluded.ticket_at
"""

FORGET = "DELETE FROM saga_dependency_wait WHERE step_id = %s"

LONGEST_WAITING = """
SELECT p.message_id FROM saga_dependency_wait w
JOIN saga_sagastep p ON p.id = w.step_id AND p.status = 'scheduled'
JOIN outbox_message m ON m.id = p.message_id AND m.status = 'pending' AND m.next_attempt_at > now()
WHERE w.dependency = %s AND w.reason = %s ORDER BY w.since LIMIT %s
"""

WAKE_ON_RAMP = """
UPDATE outbox_message m SET next_attempt_at = least(m.next_attempt_at, now() + make_interval(secs => given.delay))
FROM (SELECT * FROM unnest(%s::uuid[], %s::float8[]) AS g (id, delay)
      JOIN LATERAL (SELECT id FROM outbox_message o WHERE o.id = g.id AND o.status = 'pending'
                    FOR UPDATE SKIP LOCKED) held USING (id)) given
WHERE m.id = given.id
"""


def note(step_id: int, dependency: Dependency, reason: str, delay: float, ticket_in: float | None) -> None:
    """The step waits: for ``delay`` seconds, or until it is woken. The saga's lock covers it."""
    params = {"step": step_id, "name": dependency.name, "reason": reason, "delay": delay, "ticket": ticket_in}
    execute(NOTE, params)


def forget(step_id: int) -> None:
    """The step waits no longer."""
    execute(FORGET, [step_id])


def wake_one(dependency: Dependency) -> None:
    """A slot is free: the step that has waited longest for one asks again now."""
    if waiting := fetch(LONGEST_WAITING, [dependency.name, "slot", 1]):
        send_now([waiting[0][0]])


def wake_on_ramp(dependency: Dependency) -> int:
    """The service is back: those that waited ask again, a few at first, then more and more. Returns how many."""
    with atomic():
        waiting = [row[0] for row in fetch(LONGEST_WAITING, [dependency.name, "away", MOST_WOKEN])]
        delays = [dependency.breaker.ramp_offset(number) for number in range(len(waiting))]
        return execute(WAKE_ON_RAMP, [waiting, delays]) if waiting else 0

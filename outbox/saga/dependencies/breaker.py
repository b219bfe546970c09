"""The breaker's SQL: each transition is one conditional UPDATE, so that any number of workers may try it.

Closed → Open after so many failures in a row; Open → Half-open by the one attempt that gets the probe's permit;
Half-open → Closed when the probe was answered, → Open again, for longer, when it was not. The permit is a lease: that
of a probe which died is free again at its end.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from outbox.database import execute, fetch
from outbox.saga.dependencies.declaration import LONGEST_RAMP, Dependency
from outbox.saga.dependencies.models import BreakerState

State = BreakerState.State

LOOK = """
SELECT b.state, b.failures, b.open_until, b.cooldown,
       extract(epoch FROM b.open_until - now()), extract(epoch FROM b.probe_until - now()),
       extract(epoch FROM now() - b.closed_at), w.step_id IS NOT NULL, w.reason, extract(epoch FROM w.ticket_at - now())
FROM (SELECT %s AS name, %s::bigint AS step_id) asked
LEFT JOIN saga_breaker b ON b.name = asked.name
LEFT JOIN saga_dependency_wait w ON w.step_id = asked.step_id
"""

IS_CALM = f"""
clock_timestamp() < statement_timestamp() + interval '20 milliseconds'
AND NOT EXISTS (SELECT FROM saga_breaker b WHERE b.state <> 'closed' OR b.failures > 0
            OR b.closed_at > now() - make_interval(secs => {LONGEST_RAMP}))
AND NOT EXISTS (SELECT FROM saga_dependency_wait w JOIN saga_sagastep q ON q.id = w.step_id WHERE q.saga_id = {{saga}})
"""  # noqa: S608  (constants only)
"""Whether there is nothing for :func:`look` to find: :data:`CALM` is what it would return for any step of the saga.

A statement that has waited for a lock sees the services as they were before: it cannot tell.
"""

TAKE_PROBE = """
UPDATE saga_breaker SET state = 'half_open', probe = %s, probe_until = now() + make_interval(secs => %s)
WHERE name = (
    SELECT name FROM saga_breaker
    WHERE name = %s AND (state = 'open' AND open_until <= now() OR state = 'half_open' AND probe_until <= now())
    FOR UPDATE SKIP LOCKED)
"""

TAKE_TICKET = """
UPDATE saga_breaker SET tickets = tickets + 1
WHERE name = %s AND state = 'closed' AND closed_at > now() - make_interval(secs => %s)
RETURNING tickets - 1, extract(epoch FROM now() - closed_at)
"""

COUNT_FAILURE = """
INSERT INTO saga_breaker AS b (name, failures, last_failed_at, last_error) VALUES (%(name)s, 1, now(), %(error)s)
ON CONFLICT (name) DO UPDATE
SET failures = CASE WHEN b.last_failed_at > now() - make_interval(secs => %(within)s) THEN b.failures + 1 ELSE 1 END,
    last_failed_at = now(), last_error = %(error)s
WHERE b.state = 'closed'
RETURNING failures
"""

OPEN = """
UPDATE saga_breaker
SET state = 'open', opened_at = now(), cooldown = %(cooldown)s, tickets = 0,
    open_until = now() + make_interval(secs => %(cooldown)s * %(jitter)s)
WHERE name = %(name)s AND state = 'closed' AND failures >= %(failures)s
"""

PROBE_FAILED = """
UPDATE saga_breaker
SET state = 'open', probe = NULL, probe_until = NULL, cooldown = least(cooldown * 2, %(cap)s),
    open_until = now() + make_interval(secs => least(cooldown * 2, %(cap)s) * %(jitter)s),
    failures = failures + 1, last_failed_at = now(), last_error = %(error)s
WHERE name = %(name)s AND state = 'half_open' AND probe = %(probe)s
"""

PROBE_ANSWERED = """
UPDATE saga_breaker
SET state = 'closed', probe = NULL, probe_until = NULL, open_until = NULL, opened_at = NULL, failures = 0,
    tickets = 0, closed_at = now()
WHERE name = %s AND state = 'half_open' AND probe = %s
"""

FORGET_FAILURES = "UPDATE saga_breaker SET failures = 0 WHERE name = %s AND state = 'closed' AND failures > 0"


@dataclass(frozen=True)
class View:
    """How a service stands for one step, by the database's clock; spans in seconds from now."""

    state: str
    failures: int
    open_until: datetime | None
    cooldown: float
    open_for: float
    probe_for: float
    closed_for: float | None
    waits: bool
    reason: str
    ticket_in: float | None


CALM = View(State.CLOSED, 0, None, 0.0, 0.0, 0.0, None, waits=False, reason="", ticket_in=None)


def look(dependency: Dependency, step_id: int) -> View:
    """One read of the breaker and of what the step waits for."""
    ((state, failures, until, cooldown, open_for, probe_for, closed_for, *wait),) = fetch(
        LOOK, [dependency.name, step_id], prepared=True
    )
    waits, reason, ticket_in = wait
    return View(
        state=state or State.CLOSED,
        failures=failures or 0,
        open_until=until,
        cooldown=cooldown or 0.0,
        open_for=float(open_for or 0),
        probe_for=float(probe_for or 0),
        closed_for=None if closed_for is None else float(closed_for),
        waits=waits,
        reason=reason or "",
        ticket_in=None if ticket_in is None else float(ticket_in),
    )


def take_probe(dependency: Dependency, token: UUID, lease: float) -> bool:
    """Open, its pause over → Half-open: the permit to try whether the service is back. One gets it, for ``lease`` s."""
    return execute(TAKE_PROBE, [token, lease, dependency.name]) == 1


def take_ticket(dependency: Dependency) -> float:
    """A place on the ramp: seconds until its turn; not positive when that is now, or when the ramp is over."""
    rows = fetch(TAKE_TICKET, [dependency.name, dependency.breaker.ramp])
    if not rows:
        return 0.0
    ((ticket, elapsed),) = rows
    return dependency.breaker.ramp_offset(ticket) - float(elapsed)


def failed(dependency: Dependency, error: str) -> bool:
    """An attempt got no answer while the breaker was closed. Returns whether that opened it."""
    given = dependency.breaker
    rows = fetch(COUNT_FAILURE, {"name": dependency.name, "error": error, "within": given.within})
    if not rows or rows[0][0] < given.failures:
        return False
    params = {
        "name": dependency.name,
        "failures": given.failures,
        "cooldown": given.cooldown,
        "jitter": _jitter(),
    }
    return execute(OPEN, params) == 1


def probe_failed(dependency: Dependency, probe: UUID, error: str) -> bool:
    """Half-open → Open, for longer. ``False`` when the permit had passed to somebody else."""
    params = {"name": dependency.name, "probe": probe, "error": error, "cap": dependency.breaker.cap}
    return execute(PROBE_FAILED, params | {"jitter": _jitter()}) == 1


def probe_answered(dependency: Dependency, probe: UUID) -> bool:
    """Half-open → Closed: the ramp begins. ``False`` when the permit had passed to somebody else."""
    return execute(PROBE_ANSWERED, [dependency.name, probe]) == 1


def answered(dependency: Dependency) -> None:
    """The service answered after failures: they no longer count."""
    execute(FORGET_FAILURES, [dependency.name])


def _jitter() -> float:
    return random.uniform(0.9, 1.1)  # noqa: S311  (no secret depends on it)

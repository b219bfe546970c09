"""How the outside services stand, for people: the console's dashboard and pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from outbox.database import fetch
from outbox.saga import registry
from outbox.saga.dependencies.declaration import Dependency

BREAKERS = """
SELECT asked.name, coalesce(b.state, 'closed'), coalesce(b.failures, 0), b.opened_at, b.open_until, b.closed_at,
       b.last_failed_at, coalesce(b.last_error, ''),
       (SELECT count(*) FROM saga_dependency_wait w JOIN saga_sagastep p ON p.id = w.step_id
        WHERE w.dependency = asked.name AND p.status = 'scheduled'),
       (SELECT count(*) FROM saga_slot s WHERE s.dependency = asked.name AND s.key = '' AND s.holder IS NOT NULL
        AND s.held_until > now())
FROM unnest(%s::text[]) AS asked (name) LEFT JOIN saga_breaker b ON b.name = asked.name ORDER BY asked.name
"""


@dataclass(frozen=True)
class BreakerView:
    """A service, as it stands now.

    Args:
        name: of the service.
        state: ``closed``, ``open`` or ``half_open``.
        failures: in a row, without an answer in between.
        opened_at: since when the breaker has not been closed; ``None`` while it is.
        open_until: when the next probe is let through, while it is open.
        closed_at: when the service came back last; ``None`` when it was never away.
        last_failed_at, last_error: the latest failure that counted.
        waiting: steps that wait for the service, whatever for.
        at_work: attempts that hold a slot, where there is a limit.
        concurrency, per_second: the declared limits.
    """

    name: str
    state: str
    failures: int
    opened_at: datetime | None
    open_until: datetime | None
    closed_at: datetime | None
    last_failed_at: datetime | None
    last_error: str
    waiting: int
    at_work: int
    concurrency: int | None
    per_second: float | None


def breakers() -> list[BreakerView]:
    """Every declared service, in one query; also those that never failed."""
    known = dependencies()
    rows = fetch(BREAKERS, [list(known)]) if known else []
    limits = {name: (dependency.concurrency, dependency.per_second) for name, dependency in known.items()}
    return [BreakerView(*(*row, *limits[row[0]])) for row in rows]


def dependencies() -> dict[str, Dependency]:
    """The services that the registered sagas name, in this process."""
    steps = [step for name in registry.names() for step in registry.definition_of(name).by_name.values()]
    return {step.dependency.name: step.dependency for step in steps if step.dependency is not None}

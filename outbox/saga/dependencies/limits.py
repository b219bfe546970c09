"""The limits' SQL: slots for what may happen at the same time, paces for what may begin in a second.

A slot is a row with a lease: a worker that dies gives it back by the passing of time. A pace is the time of the next
turn; taking one moves it on. So those that must wait have a place in the queue, and come back once, at their time.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from outbox.database import execute, fetch
from outbox.saga.dependencies.declaration import Limit

TAKE_SLOT = """
UPDATE saga_slot SET holder = %s, held_until = now() + make_interval(secs => %s)
WHERE id = (
    SELECT id FROM saga_slot
    WHERE dependency = %s AND key = %s AND number <= %s AND (holder IS NULL OR held_until <= now())
    ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED)
"""

MAKE_SLOTS = """
INSERT INTO saga_slot (dependency, key, number) SELECT %s, %s, generate_series(1, %s)
ON CONFLICT (dependency, key, number) DO NOTHING
"""

RELEASE_SLOTS = "UPDATE saga_slot SET holder = NULL, held_until = now() WHERE holder = %s"
EXTEND_SLOTS = "UPDATE saga_slot SET held_until = now() + make_interval(secs => %s) WHERE holder = %s"

TAKE_TURN = """
INSERT INTO saga_pace AS p (dependency, key, next_at)
VALUES (%(name)s, %(key)s, now() + make_interval(secs => %(every)s))
ON CONFLICT (dependency, key) DO UPDATE
SET next_at = greatest(p.next_at, now()) + make_interval(secs => %(every)s)
RETURNING extract(epoch FROM p.next_at - now()) - %(every)s
"""

Bounds = Iterable[tuple[str, Limit]]


def take_turn(dependency: str, bounds: Bounds) -> float:
    """A place in the queue of each rate: seconds until the latest of them; not positive when that is now."""
    waits = [
        fetch(TAKE_TURN, {"name": dependency, "key": key, "every": 1 / limit.per_second})[0][0]
        for key, limit in bounds
        if limit.per_second
    ]
    return max((float(wait) for wait in waits), default=0.0)


def take_slots(dependency: str, bounds: Bounds, holder: UUID, lease: float) -> bool:
    """A slot of each bound, for ``lease`` seconds. ``False``, and none is held, when one has none left."""
    for key, limit in bounds:
        if limit.concurrency and not _take_slot(dependency, key, limit.concurrency, holder, lease):
            release_slots(holder)
            return False
    return True


def release_slots(holder: UUID) -> None:
    """Give back what an attempt holds."""
    execute(RELEASE_SLOTS, [holder])


def extend_slots(holder: UUID, lease: float) -> None:
    """A long attempt is still at work: its slots are its own for ``lease`` more seconds."""
    execute(EXTEND_SLOTS, [lease, holder])


def _take_slot(dependency: str, key: str, most: int, holder: UUID, lease: float) -> bool:
    asked = [holder, lease, dependency, key, most]
    if execute(TAKE_SLOT, asked):
        return True
    return execute(MAKE_SLOTS, [dependency, key, most]) > 0 and execute(TAKE_SLOT, asked) == 1

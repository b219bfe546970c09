"""Retention: what is known of a saga's way leaves some time after its end; the saga itself stays, with its outcome.

Only ended sagas are touched, and only long after their end. The row of the saga stays because it says for good that
this business thing has had its saga: without it a late duplicate could start a second one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from outbox.conf import conf
from outbox.database import atomic, execute, fetch
from outbox.exceptions import OperationRefused
from outbox.prune import MIN_AGE

BATCH = 200
"""Sagas of one transaction."""

CHOOSE = """
SELECT id FROM saga_saga
WHERE ended_at < now() - %s AND history_pruned_at IS NULL
ORDER BY ended_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
COUNT = "SELECT count(*) FROM saga_saga WHERE ended_at < now() - %s AND history_pruned_at IS NULL"
MARK = "UPDATE saga_saga SET history_pruned_at = now(), entries = 0 WHERE id = ANY(%s)"
WAITS = (
    "DELETE FROM saga_dependency_wait WHERE step_id IN (SELECT id FROM saga_sagastep WHERE saga_id = ANY(%s))"
)
STEPS = "DELETE FROM saga_sagastep WHERE saga_id = ANY(%s)"
TRANSITIONS = "DELETE FROM saga_sagatransition WHERE saga_id = ANY(%s)"
SIGNALS = """
DELETE FROM saga_sagasignal g USING saga_saga s
WHERE s.id = ANY(%s) AND g.definition = s.definition AND g.key = s.key
"""
IDLE_SLOTS = "DELETE FROM saga_slot WHERE key <> '' AND held_until < now() - %s"
IDLE_PACES = "DELETE FROM saga_pace WHERE key <> '' AND next_at < now() - %s"


class Pruned(NamedTuple):
    """What one batch, or all of them, deleted."""

    sagas: int
    steps: int
    transitions: int


def prune(
    older_than: timedelta | None = None, *, seconds: float | None = None, batch: int = BATCH
) -> Iterator[Pruned]:
    """Delete the history of sagas that ended long ago, batch by batch, each in a transaction of its own.

    Args:
        older_than: the age since the end; by default ``OUTBOX["SAGA_RETENTION"]``.
        seconds: how long to go on, at most; what is left is for the next time.
        batch: sagas of one transaction.

    Yields:
        What each batch deleted, after it has committed. Whoever stops asking stops the work.

    Raises:
        OperationRefused: the age is below :data:`outbox.prune.MIN_AGE`.

    Not guaranteed: sagas that somebody else holds, such as another process that prunes, are passed over.
    """
    until = None if seconds is None else time.monotonic() + seconds
    return _prune(_age(older_than), until, batch)


def count_prunable(older_than: timedelta | None = None) -> int:
    """How many sagas would lose their history now.

    Raises:
        OperationRefused: the age is below :data:`outbox.prune.MIN_AGE`.
    """
    return int(fetch(COUNT, [_age(older_than)])[0][0])


def total(batches: Iterable[Pruned]) -> Pruned:
    """All batches together."""
    return Pruned(*(sum(numbers) for numbers in zip(Pruned(0, 0, 0), *batches, strict=True)))


def _age(older_than: timedelta | None) -> timedelta:
    age = timedelta(seconds=conf().SAGA_RETENTION) if older_than is None else older_than
    if age < MIN_AGE:
        least, given = MIN_AGE.total_seconds(), age.total_seconds()
        raise OperationRefused(
            f"No history younger than {least:,.0f} s is deleted: {given:,.0f} s is too young."
        )
    return age


def _prune(age: timedelta, until: float | None, batch: int) -> Iterator[Pruned]:
    while until is None or time.monotonic() < until:
        pruned = _prune_batch(age, batch)
        if not pruned.sagas:
            _forget_keys(age)
            return
        yield pruned


def _prune_batch(age: timedelta, batch: int) -> Pruned:
    """What refers to others goes before them."""
    with atomic():
        ids: list[UUID] = [row[0] for row in fetch(CHOOSE, [age, batch])]
        if not ids:
            return Pruned(0, 0, 0)
        execute(SIGNALS, [ids])
        execute(WAITS, [ids])
        deleted = Pruned(len(ids), execute(STEPS, [ids]), execute(TRANSITIONS, [ids]))
        execute(MARK, [ids])
        return deleted


def _forget_keys(age: timedelta) -> None:
    """Limits of keys that nobody has used for so long."""
    execute(IDLE_SLOTS, [age])
    execute(IDLE_PACES, [age])

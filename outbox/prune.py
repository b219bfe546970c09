"""Retention: what is finished leaves after a time, in small transactions that several processes may make at once.

Only messages that are consumed or discarded leave, each with the errors of its attempts. Nothing unfinished ever does,
however old: a message that nobody consumes is a question to a person. Inbox rows leave by the same age; a foreign
message that arrives again later than that is taken for a new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Model, QuerySet
from django.db.models.functions import Now

from outbox.conf import SHORTEST_RETENTION, conf
from outbox.database import atomic
from outbox.exceptions import OperationRefused
from outbox.models import InboxMessage, Message, Status

BATCH = 1000
"""Rows deleted in one transaction."""
MIN_AGE = timedelta(seconds=SHORTEST_RETENTION)
"""Nothing younger leaves."""
RUN_SECONDS = 0.5
"""Longest run of the periodic task, which shares its worker with the dispatch task."""


@dataclass(frozen=True)
class Prunable:
    """Rows that leave by age.

    Args:
        name: for people, such as ``consumed messages``.
        rows: all rows that may leave once they are old enough.
        column: the time that their age counts from.
        order: an indexed column to find them by; by default ``column``.
    """

    name: str
    rows: Callable[[], QuerySet[Any]]
    column: str
    order: str = ""

    def older_than(self, age: timedelta) -> QuerySet[Any]:
        """Those that may leave now, in the order of the index, so that it is used."""
        return self.rows().filter(**{f"{self.column}__lt": Now() - age}).order_by(self.order or self.column)


@dataclass(frozen=True)
class Pruned:
    """A batch that has left."""

    kind: str
    count: int


def _messages() -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE)


PRUNABLES = [
    Prunable("consumed messages", lambda: _messages().filter(consumed_at__isnull=False), "consumed_at"),
    Prunable(
        "discarded messages",
        lambda: _messages().filter(status=Status.FAILED, discarded_at__isnull=False),
        "discarded_at",
        order="id",
    ),
    Prunable("inbox messages", lambda: InboxMessage.objects.using(conf().DATABASE), "received_at"),
]
"""What leaves. Applications append their own, such as kept answers to requests: see :func:`prune_also`."""


def prune_also(kind: Prunable) -> None:
    """Have rows of an application leave with those of the outbox, at the same age. Call it once, while it starts.

    The rows must be in the outbox's database, and ``order`` (or ``column``) must be indexed.
    """
    if kind.name not in {known.name for known in PRUNABLES}:
        PRUNABLES.append(kind)


def prune(older_than: timedelta | None = None, *, seconds: float | None = None) -> Iterator[Pruned]:
    """Delete what is finished and old, batch by batch, each in a transaction of its own.

    Args:
        older_than: the age; by default ``OUTBOX["RETENTION"]``.
        seconds: how long to go on, at most; what is left is for the next time.

    Yields:
        What each batch deleted, after it has committed. Whoever stops asking stops the work.

    Raises:
        OperationRefused: the age is below :data:`MIN_AGE`.

    Not guaranteed: rows that somebody else holds, such as another process that prunes, are passed over.
    """
    return _prune(_age(older_than), time.monotonic() + seconds if seconds is not None else None)


def count_prunable(older_than: timedelta | None = None) -> dict[str, int]:
    """How many rows of each kind would leave now. Reads all of them.

    Raises:
        OperationRefused: the age is below :data:`MIN_AGE`.
    """
    age = _age(older_than)
    return {kind.name: kind.older_than(age).count() for kind in PRUNABLES}


def _age(older_than: timedelta | None) -> timedelta:
    age = timedelta(seconds=conf().RETENTION) if older_than is None else older_than
    if age < MIN_AGE:
        least, given = MIN_AGE.total_seconds(), age.total_seconds()
        raise OperationRefused(
            f"Nothing younger than {least:,.0f} s is deleted: {given:,.0f} s is too young."
        )
    return age


def _prune(age: timedelta, until: float | None) -> Iterator[Pruned]:
    """In turns, so that no kind has to wait until another one is through."""
    left: dict[Prunable, Any] = dict.fromkeys(PRUNABLES)
    while left:
        for kind, begin in list(left.items()):
            if until is not None and time.monotonic() >= until:
                return
            count, left[kind] = _delete_batch(kind, age, begin)
            if count:
                yield Pruned(kind.name, count)
            if count < BATCH:
                del left[kind]


def _delete_batch(kind: Prunable, age: timedelta, begin: Any) -> tuple[int, Any]:
    """Delete a batch; returns how many, and where the next one begins.

    The next one begins where this one ended: the index still has the entries of the deleted, and reading past them
    again for every batch would make the work grow with its square.
    """
    order = kind.order or kind.column
    rows = kind.older_than(age) if begin is None else kind.older_than(age).filter(**{f"{order}__gte": begin})
    with atomic():
        held: list[Model] = list(rows.only("pk", order).select_for_update(skip_locked=True)[:BATCH])
        if held:
            rows.order_by().filter(pk__in=[row.pk for row in held]).only("pk").delete()
    return len(held), getattr(held[-1], order) if held else begin

"""Which Failed messages an operator means: a filter that is never empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from outbox import known
from outbox.conf import conf
from outbox.exceptions import OperationRefused
from outbox.models import Attempt, Message, Status


@dataclass(frozen=True)
class Selection:
    """Failed messages that are not discarded, and to which all that is given applies.

    Args:
        type: the type, whole.
        queue: the queue that they go to, named by the message or by its consumer.
        key: the key, whole.
        consumer: the consumer, whole.
        error: a part of the last error, in upper or lower case.
        failed_since: failed for the last time then or later.
        failed_until: failed for the last time before then.
        correlation_id: what they belong to, whole.
        ids: these messages.
    """

    type: str = ""
    queue: str = ""
    key: str = ""
    consumer: str = ""
    error: str = ""
    failed_since: datetime | None = None
    failed_until: datetime | None = None
    correlation_id: str = ""
    ids: tuple[UUID, ...] = ()

    def __post_init__(self) -> None:
        """Refuse to select everything: that is hardly ever meant, and cannot be taken back.

        Raises:
            OperationRefused: nothing is given.
        """
        if not any(getattr(self, field.name) for field in fields(self)):
            names = ", ".join(field.name.replace("_", " ") for field in fields(self))
            raise OperationRefused(f"Say which messages: an empty filter means all. It may name {names}.")

    def __str__(self) -> str:
        given = {field.name.replace("_", " "): getattr(self, field.name) for field in fields(self)}
        return ", ".join(f"{name} {_shown(value)}" for name, value in given.items() if value)

    def rows(self) -> QuerySet[Message]:
        """The messages."""
        failed = Message.objects.using(conf().DATABASE).filter(status=Status.FAILED, discarded_at=None)
        return failed.filter(*self._conditions())

    def counts(self) -> dict[str, tuple[int, datetime]]:
        """How many there are of each type, and when the oldest of them was published."""
        by_type = self.rows().values("type").annotate(count=Count("id"), oldest=Min("occurred_at"))
        return {row["type"]: (row["count"], row["oldest"]) for row in by_type.order_by("-count", "type")}

    def _conditions(self) -> Iterator[Q | Exists]:
        for name in ("type", "key", "consumer", "correlation_id"):
            if value := getattr(self, name):
                yield Q(**{name: value})
        if self.queue:
            yield goes_to(self.queue)
        if self.error:
            yield Q(last_error__icontains=self.error)
        if self.failed_since or self.failed_until:
            yield from self._failed_in_time()
        if self.ids:
            yield Q(id__in=self.ids)

    def _failed_in_time(self) -> Iterator[Q | Exists]:
        attempts = Attempt.objects.using(conf().DATABASE).filter(message_id=OuterRef("pk"))
        if self.failed_since:
            yield Exists(attempts.filter(failed_at__gte=self.failed_since))
        if self.failed_until:
            yield Exists(attempts)
            yield ~Q(Exists(attempts.filter(failed_at__gte=self.failed_until)))


def goes_to(queue: str) -> Q:
    """Messages of a queue: those that name it, and those that name none and whose consumer has it as its own."""
    consumers = known.queues().get(queue, [])
    unnamed = Q(consumer__in=consumers) | Q(consumer="", type__in=consumers)
    if queue == known.distribution_queue():
        unnamed |= Q(consumer="", type__in=known.events())
    return Q(queue=queue) | (Q(queue="") & unnamed)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"{value[0]}" + (f" and {len(value) - 1} more" if len(value) > 1 else "")
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else repr(value)

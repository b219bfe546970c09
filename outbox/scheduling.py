"""Messages for later: when they are due, and what their caller can still do about them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models.functions import Now
from django.utils import timezone

from outbox.conf import conf
from outbox.database import atomic
from outbox.events import event_class_type
from outbox.models import Message, Status
from outbox.subscriptions import subscribers_of

CANCELLED = "Cancelled before it was sent."


def cancel_scheduled(what: type | str, schedule_key: str) -> int:
    """Cancel what waits under a caller's name: closed as Failed, with the reason, and never sent.

    In a transaction, the cancellation belongs to it. Safe at any moment: a message that a relay claims at the same
    time is either cancelled or sent, and the answer says which.

    Not guaranteed: to find a message that has not been sent. A relay that takes one up takes its name away for good;
    put back, as in an outage of the broker, it waits without a name, and will be sent.

    Args:
        what: an event's class or name (its messages to all of today's subscribers), or a task's name.
        schedule_key: the name given when it was published.

    Returns:
        How many messages were cancelled; 0 when none waits under that name: taken up already, cancelled already, or
        never there.
    """
    rows = Message.objects.using(conf().DATABASE)
    waiting = rows.filter(
        consumer__in=_consumers(what), schedule_key=schedule_key, status=Status.PENDING
    ).order_by("consumer")
    with atomic():
        ids = list(waiting.select_for_update().values_list("id", flat=True))
        cancelled = rows.filter(id__in=ids).update(
            status=Status.FAILED,
            discarded_at=Now(),
            last_error=CANCELLED,
            schedule_key=None,
            waits_for=None,
        )
        rows.filter(waits_for__in=ids).update(waits_for=None)  # the next of its key need not wait for it
    return cancelled


def due_time(at: datetime | None, delay: float | timedelta) -> tuple[datetime | None, float]:
    """A due time as rows have it: absolute, or seconds from the INSERT.

    Raises:
        ValueError: both are given, or the absolute time has no time zone.
    """
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    if at is None:
        return None, seconds
    if seconds:
        raise ValueError("Give either at= or delay=, not both.")
    if timezone.is_naive(at):
        raise ValueError(f"{at.isoformat()} has no time zone: which moment it means depends on who reads it.")
    return at, 0.0


def _consumers(what: type | str) -> list[str]:
    name = what if isinstance(what, str) else event_class_type(what).name
    return subscribers_of(name) or [name]

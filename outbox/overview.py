"""How the outbox stands, in figures: for ``manage.py outbox``, the admin's dashboard and whoever else asks.

Every function reads a bounded number of rows, however large the table is: unfinished messages by their partial
indexes, and at most :data:`CAP` of a kind. Where there are more, the figure is an estimate and says so (``exact``).
Each function is a look of its own: their figures are not of one moment. All times are the database's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import itemgetter
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from outbox import storage
from outbox.conf import conf
from outbox.database import connection, fetch
from outbox.figures import CAP, RATE_CAP, WINDOW, Holder, Limited, OldMessage, Overview, Paused, Rates, Tally
from outbox.models import Attempt, Message, Pause, RateLimit, Status
from outbox.store.postgresql.storing import INDEX_ENTRIES

PRIORITIES = range(10)
LOOKED_AT = 2000
"""Messages under way among which the oldest are looked for, those whose lease or wait ends first."""

DUE = Q(status=Status.PENDING, waits_for=None, priority__in=PRIORITIES, next_attempt_at__lte=Now())
LATER = Q(status=Status.PENDING, waits_for=None, priority__in=PRIORITIES, next_attempt_at__gt=Now())
WAITING = Q(waits_for__isnull=False)
UNDER_WAY = Q(status__in=[Status.PROCESSING, Status.SENT], consumed_at=None)
FAILED = Q(status=Status.FAILED, discarded_at=None)
DISCARDED = Q(status=Status.FAILED, discarded_at__isnull=False)
CONSUMED = Q(consumed_at__isnull=False)


def overview() -> Overview:
    """All figures, looked up one after the other."""
    return Overview(
        at=now(),
        lag_seconds=lag(),
        rates=rates(),
        tallies=tallies(),
        oldest=oldest(3),
        holders=holders(),
        pauses=pauses(),
        limits=limits(),
        tables=storage.tables(),
        horizon=storage.horizon_holders(),
    )


def now() -> datetime:
    """The time: PostgreSQL's own; on other databases this process's."""
    if connection().vendor == "postgresql":
        return fetch("SELECT statement_timestamp()")[0][0]  # type: ignore[no-any-return]  # a row is untyped
    return timezone.now()


def tallies() -> list[Tally]:
    """Messages by state and type."""
    found = [
        *_tally("due", DUE, "outbox_due", "priority", "next_attempt_at"),
        *_tally("later", LATER, "outbox_due", "priority", "next_attempt_at"),
        *_tally("waiting", WAITING, "outbox_waiting", "waits_for"),
        *_tally("", UNDER_WAY, "outbox_leased", "locked_until"),
        *_tally("failed", FAILED, "outbox_failed", "id"),
        *_tally("discarded", DISCARDED, "outbox_failed", "id"),
        *_tally("consumed", CONSUMED, "outbox_consumed", "-consumed_at"),
    ]
    return sorted(found, key=lambda tally: tally.type)


def lag() -> float:
    """Seconds for which the message has been due that has waited longest for a relay; 0 when none is due."""
    times = [old.seconds for old in oldest(1, states=("due",))]
    return max(times, default=0.0)


def rates() -> Rates:
    """What came in and what was done."""
    begin = now() - timedelta(seconds=WINDOW)
    # Ids begin with the time at which they were made, so the primary key finds the latest messages.
    first = UUID(int=int(begin.timestamp() * 1000) << 80)
    published = _messages().filter(id__gte=first, occurred_at__gte=begin).order_by("-id")
    consumed = _messages().filter(consumed_at__gte=begin).order_by("-consumed_at")
    attempts = Attempt.objects.using(conf().DATABASE).order_by("-id").values_list("failed_at", flat=True)
    failures = sum(failed_at >= begin for failed_at in attempts[:1000])
    return Rates(_rate(published, "occurred_at"), _rate(consumed, "consumed_at"), failures / WINDOW)


def oldest(
    limit: int = 5, states: tuple[str, ...] = ("due", "processing", "sent", "failed")
) -> list[OldMessage]:
    """Of each state, the messages that have been in it for longest: at most ``limit`` of a state."""
    moment = now()
    found = [row for state in states for row in _oldest(state, moment, limit)]
    return sorted(found, key=lambda row: (states.index(row.state), -row.seconds))


def holders(limit: int = 20) -> list[Holder]:
    """Who has messages in hand: relays that send, and workers at leased work. Those with the most first."""
    moment = now()
    under_way = _messages().filter(UNDER_WAY).order_by("locked_until").only("locked_until")
    counts = _group(under_way.annotate(is_held=Q(lock_id__isnull=False)), "locked_by", "is_held")
    exact = sum(counts.values()) < CAP
    held = [(count, name) for (name, is_held), count in counts.items() if is_held]
    found = []
    for count, name in sorted(held, reverse=True)[:limit]:
        first = under_way.filter(locked_by=name, lock_id__isnull=False).first()
        if first and (ends := first.locked_until):
            found.append(Holder(name or "(unnamed)", count, exact, ends, (ends - moment).total_seconds()))
    return found


def pauses() -> list[Paused]:
    """What is paused, and how many messages that holds."""
    found = []
    for pause in Pause.objects.using(conf().DATABASE).order_by("paused_at"):
        waiting = _messages().filter(waits_for=pause.pk)[:CAP].count()
        said = (pause.scope, pause.value, pause.reason, pause.paused_by, pause.paused_at)
        found.append(Paused(*said, waiting=waiting, exact=waiting < CAP))
    return found


def limits() -> list[Limited]:
    """Rate limits, and how much they have put off."""
    moment = now()
    found = []
    for limit in RateLimit.objects.using(conf().DATABASE).order_by("type"):
        seconds = max(0.0, (limit.last_slot_at - moment).total_seconds())
        said = (limit.type, limit.per_second, limit.burst, limit.reason, limit.set_by)
        found.append(Limited(*said, line=round(seconds * limit.per_second), line_seconds=seconds))
    return found


def _tally(state: str, condition: Q, index: str, *order: str) -> list[Tally]:
    """Of one kind: counted by type, and scaled to the estimate where there is more than is counted.

    The order is that of the index which serves the kind, so that it is read, and not the table.
    """
    rows = _messages().filter(condition).order_by(*order)
    counts = _group(rows, "type", "status")
    counted = sum(counts.values())
    share = 1.0 if counted < CAP else max(counted, _estimate(rows, index)) / counted
    return [
        Tally(type_, state or status, round(count * share), exact=counted < CAP)
        for (type_, status), count in counts.items()
    ]


def _group(rows: QuerySet[Message], *columns: str) -> dict[tuple[str, ...], int]:
    """How many of the first :data:`CAP` rows have which values."""
    sql, params = rows.values_list(*columns)[:CAP].query.sql_with_params()
    names = ", ".join(columns)
    counted = f"SELECT {names}, count(*) FROM ({sql}) AS first_rows GROUP BY {names}"  # noqa: S608  (Django's own SQL)
    return {tuple(values): count for *values, count in fetch(counted, params)}


def _estimate(rows: QuerySet[Message], index: str) -> int:
    """How many rows there are, about; 0 where nobody can be asked.

    The planner takes columns for independent of each other, and expects too many; the index may have entries of dead
    rows, and other kinds' entries. So it is the smaller of the two.
    """
    if connection().vendor != "postgresql":
        return 0
    expected = int(json.loads(rows.order_by().explain(format="json"))[0]["Plan"]["Plan Rows"])
    return min([expected, *(int(entries) for (entries,) in fetch(INDEX_ENTRIES, [index]))])


def _rate(rows: QuerySet[Message], column: str) -> float:
    found = rows[:RATE_CAP].aggregate(count=Count("id"), since=Min(column))
    count: int = found["count"]
    seconds = WINDOW if count < RATE_CAP else (now() - found["since"]).total_seconds()
    return float(count / max(0.001, seconds))


def _oldest(state: str, moment: datetime, limit: int) -> Iterator[OldMessage]:
    rows, column = _in_order(state, limit)
    times = [(getattr(row, column), row) for row in rows]
    for since, row in sorted(times, key=itemgetter(0))[:limit]:
        seconds = (moment - since).total_seconds()
        yield OldMessage(row.id, row.type, state, since, seconds, row.last_error)


def _in_order(state: str, limit: int) -> tuple[list[Message], str]:
    """The first rows of a state, as its index has them, and the column that says since when."""
    rows = _messages().defer("payload", "headers")
    if state == "due":
        due = rows.filter(DUE).order_by("next_attempt_at", "id")
        first = [row for priority in PRIORITIES for row in due.filter(priority=priority)[:limit]]
        return first, "next_attempt_at"
    if state == "failed":
        return list(rows.filter(FAILED).order_by("id")[:limit]), "occurred_at"
    under_way = rows.filter(UNDER_WAY).order_by("locked_until")[:LOOKED_AT]
    return [row for row in under_way if row.status == state], "locked_until"


def _messages() -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE)

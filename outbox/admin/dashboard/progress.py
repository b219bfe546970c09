"""Whether relays and consumers make progress, judged by what the rows say and not by who answers a ping.

A process can be up and do nothing. So each is judged by its work: something waits, and the latest sign of progress
is long ago: it is stuck. Nothing waits: it rests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from outbox import known
from outbox.admin.dashboard.overview import oldest_due
from outbox.admin.dashboard.panels import panel
from outbox.admin.links import messages_url
from outbox.admin.rendering import anchor, distance, duration, label, table
from outbox.conf import conf
from outbox.models import Message, Status

LATEST = 1_000
"""Messages that were consumed last: who was at work lately."""
WAITING = 5_000
"""Messages on their way to a consumer that are looked at."""
PATIENCE = 60.0
"""Seconds without progress, while something waits, from which it is said that somebody is stuck."""


@dataclass
class Line:
    """One queue: what waits in it, and when something of it was consumed last."""

    waiting: int = 0
    running: int = 0
    oldest: datetime | None = None
    latest: datetime | None = None


@panel(
    "progress",
    pgettext_lazy("heading", "At work"),
    permission="outbox.view_message",
    order=30,
    template="admin/console/panels/progress.html",
    is_wide=True,
)
def progress(_request: HttpRequest) -> dict[str, Any]:
    """The relays as one line, each queue's consumers as one."""
    done, waiting = _done(), _waiting()
    lines: dict[str, Line] = {queue: Line() for queue in known.queues()}
    for row in waiting:
        _add_waiting(lines.setdefault(_queue_of(row), Line()), row)
    for row in done:
        _add_done(lines.setdefault(_queue_of(row), Line()), row)
    headers = (_("Who"), _("State"), _("Waiting"), _("Oldest waits"), _("Running"), _("Latest progress"))
    rows = [_relays(done, waiting), *(_consumers(queue, line) for queue, line in sorted(lines.items()))]
    return {
        "table": table(headers, rows, empty=""),
        "most": f"{WAITING:,}" if len(waiting) == WAITING else "",
    }


def verdict(waits: float | None, latest: datetime | None) -> SafeString:
    """A state in one word: what waits longest (s), and when there was progress."""
    rests = (timezone.now() - latest).total_seconds() if latest else None
    if waits is not None and waits > PATIENCE:
        if rests is None or rests > PATIENCE:
            title = _("Something waits, and nothing moved for a while: is the process running?")
            return label(_("Stuck"), "danger", title=title)
        return label(_("Behind"), "warning", title=_("It works, and what waits is old."))
    if waits is None and (rests is None or rests > PATIENCE):
        return label(_("At rest"), "", title=_("Nothing waits."))
    return label(_("Working"), "success", title=_("What waits is young, or something was done just now."))


def _done() -> list[Any]:
    rows = _rows().filter(consumed_at__isnull=False).order_by("-consumed_at")
    return list(rows.values("type", "consumer", "queue", "sent_at", "consumed_at")[:LATEST])


def _waiting() -> list[Any]:
    """On their way to a consumer, or in its hands."""
    rows = _rows().filter(status=Status.SENT, consumed_at=None).order_by("locked_until")
    return list(rows.values("type", "consumer", "queue", "sent_at", "started_at", "locked_by")[:WAITING])


def _rows() -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE)


def _queue_of(row: dict[str, Any]) -> str:
    return str(row["queue"] or known.default_queue(row["type"], row["consumer"]) or "?")


def _add_waiting(line: Line, row: dict[str, Any]) -> None:
    if row["started_at"]:
        line.running += 1
        line.latest = _later(line.latest, row["started_at"])
        return
    line.waiting += 1
    line.oldest = min(line.oldest or row["sent_at"], row["sent_at"])


def _add_done(line: Line, row: dict[str, Any]) -> None:
    line.latest = _later(line.latest, row["consumed_at"])


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at), default=None)


def _relays(done: Iterable[dict[str, Any]], waiting: Iterable[dict[str, Any]]) -> tuple[Any, ...]:
    """What is due waits for a relay; what was sent is its progress."""
    due = oldest_due()
    waits = _seconds_since(due)
    latest = max((row["sent_at"] for row in (*done, *waiting)), default=None)
    number = _rows().filter(status=Status.PROCESSING, consumed_at=None)[:WAITING].count()
    return (
        _("Relays"),
        verdict(waits, latest),
        anchor(messages_url(state="due"), _("due messages")) if due else "0",
        duration(waits) if waits is not None else "",
        anchor(messages_url(state="processing"), str(number)) if number else "0",
        distance(latest),
    )


def _consumers(queue: str, line: Line) -> tuple[Any, ...]:
    waits = _seconds_since(line.oldest)
    listed = messages_url(state="unconsumed", queue=queue)
    return (
        _("Consumers of %(queue)s") % {"queue": queue},
        verdict(waits, line.latest),
        anchor(listed, f"{line.waiting:,}") if line.waiting else "0",
        duration(waits) if waits is not None else "",
        anchor(listed, f"{line.running:,}") if line.running else "0",
        distance(line.latest),
    )


def _seconds_since(at: datetime | None) -> float | None:
    return max(0.0, (timezone.now() - at).total_seconds()) if at else None

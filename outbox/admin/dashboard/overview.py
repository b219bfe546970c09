"""How many messages are in which state, and how late the oldest is that is due."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.admin.dashboard.panels import MOST_COUNTED, Figure, counted, panel, written
from outbox.admin.links import messages_url
from outbox.admin.paginator import estimate
from outbox.admin.rendering import NOTHING, duration
from outbox.admin.states import DUE, SELECTIONS
from outbox.conf import conf
from outbox.models import Message

COLOURS = {
    "due": "info",
    "later": "",
    "waiting": "",
    "processing": "primary",
    "unconsumed": "warning",
    "dead": "danger",
}
"""States with a figure of their own, and its colour when it is not zero."""
LATE_AFTER = 30.0
"""Seconds that the oldest due message may wait before its figure turns yellow; ten times as many, and it is red."""


@panel(
    "messages",
    gettext_lazy("Messages by state"),
    permission="outbox.view_message",
    order=10,
    template="admin/console/panels/figures.html",
    is_wide=True,
)
def messages(_request: HttpRequest) -> dict[str, Any]:
    """A figure for each state that moves, and an estimate of all."""
    number, oldest = _due()
    due = _figure_of_state("due", number, written(number))
    others = [
        _figure_of_state(state, *counted(_rows().filter(SELECTIONS[state][1])))
        for state in COLOURS
        if state != "due"
    ]
    return {"figures": [_lag(oldest), due, *others, _all()]}


def oldest_due() -> datetime | None:
    """Since when the message waits that has been due longest, of those that nothing holds back.

    The index of due messages begins with the priority: each priority is asked for its first.
    """
    firsts = (
        _rows()
        .filter(DUE, priority=p)
        .order_by("next_attempt_at")
        .values_list("next_attempt_at", flat=True)[:1]
        for p in range(10)
    )
    return min((at for first in firsts for at in first), default=None)


def late_variant(seconds: float) -> str:
    """The colour of a wait."""
    return "success" if seconds < LATE_AFTER else "warning" if seconds < 10 * LATE_AFTER else "danger"


def _due() -> tuple[int, datetime | None]:
    """How many messages are due, and since when the oldest is: by one statement, so that the two agree."""
    some = _rows().filter(DUE).order_by()[:MOST_COUNTED]
    found = some.aggregate(number=Count("id"), oldest=Min("next_attempt_at"))
    is_all = found["number"] < MOST_COUNTED
    return found["number"], found["oldest"] if is_all else oldest_due() or found["oldest"]


def _lag(at: datetime | None) -> Figure:
    wait = max(0.0, (timezone.now() - at).total_seconds()) if at else 0.0
    return Figure(
        _("Lag: oldest due"),
        duration(wait) if at else NOTHING,
        messages_url(state="due", age="over15min") if wait > 15 * 60 else messages_url(state="due"),
        late_variant(wait),
        "" if at else _("nothing is due"),
        key="lag",
    )


def _figure_of_state(state: str, number: int, text: str) -> Figure:
    colour = COLOURS[state] if number else ""
    return Figure(SELECTIONS[state][0], text, messages_url(state=state), colour, key=state)


def _all() -> Figure:
    number = estimate(_rows())
    exact, text = counted(_rows(), 10_000) if number < 10_000 else (0, "")
    return Figure(
        _("All messages"),
        text or f"≈ {number:,}",
        reverse("admin:outbox_message_changelist"),
        key="all",
        aside="" if text and exact < 10_000 else _("estimated"),
    )


def _rows() -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE).all()

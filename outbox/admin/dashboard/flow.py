"""Messages written and messages consumed, minute by minute, over the last hour: drawn by the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.admin.dashboard.panels import panel
from outbox.admin.ids import first_id_of
from outbox.admin.rendering import clock
from outbox.conf import conf
from outbox.models import Message

MINUTES = 60
BUDGET = 0.4
"""Seconds for counting minutes that are not known yet, latest first; the others follow at the next refresh."""
SETTLED = timedelta(minutes=2)
"""Age from which a minute's number is kept: by then what began in it has committed."""
WIDTH, HEIGHT = 600, 140

Counts = list[int | None]


@panel(
    "flow",
    gettext_lazy("In and out, last hour"),
    permission="outbox.view_message",
    order=20,
    template="admin/console/panels/flow.html",
    every=10,
    is_wide=True,
)
def flow(_request: HttpRequest) -> dict[str, Any]:
    """Two curves, and their numbers as a table for those who do not see curves."""
    now = timezone.now()
    first = now.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
    minutes = [first + timedelta(minutes=n) for n in range(MINUTES)]
    end = time.monotonic() + BUDGET
    written = _counts("written", minutes, _written, end)
    consumed = _counts("consumed", minutes, _consumed, end)
    top = max([1, *(n or 0 for n in (*written, *consumed))])
    return {
        "top": f"{top:,}",
        "from": clock(minutes[0], seconds=False),
        "until": clock(now, seconds=False),
        "width": WIDTH,
        "height": HEIGHT,
        "series": [
            _series("in", _("Written"), written, top),
            _series("out", _("Consumed"), consumed, top),
        ],
        "minutes": [
            (clock(minute, seconds=False), *counts)
            for minute, *counts in reversed(list(zip(minutes, written, consumed, strict=True)))
        ],
        "is_partial": None in written or None in consumed,
    }


def _written(start: datetime, end: datetime) -> QuerySet[Message]:
    """By id, which begins with the time: the table needs no index for this."""
    return _rows().filter(id__gte=first_id_of(start), id__lt=first_id_of(end))


def _consumed(start: datetime, end: datetime) -> QuerySet[Message]:
    return _rows().filter(consumed_at__gte=start, consumed_at__lt=end)


def _rows() -> QuerySet[Message]:
    return Message.objects.using(conf().DATABASE)


def _counts(
    kind: str,
    minutes: Sequence[datetime],
    rows_of: Callable[[datetime, datetime], QuerySet[Message]],
    end: float,
) -> Counts:
    """The number of each minute, from the cache where it will not change any more; ``None`` where time was short."""
    keys = {f"outbox.flow.{kind}.{minute:%Y%m%d%H%M}": minute for minute in minutes}
    known: dict[str, int] = cache.get_many(keys)
    fresh: dict[str, int] = {}
    now = timezone.now()
    for key in [key for key in reversed(keys) if key not in known]:
        if time.monotonic() > end:
            break
        known[key] = number = rows_of(keys[key], keys[key] + timedelta(minutes=1)).count()
        if keys[key] + SETTLED < now:
            fresh[key] = number
    cache.set_many(fresh, timeout=(MINUTES + 5) * 60)
    return [known.get(key) for key in keys]


def _series(key: str, name: str, counts: Counts, top: int) -> dict[str, Any]:
    """A curve. The minute that is still running is no point of it: it would always look like a collapse."""
    step = WIDTH / (MINUTES - 1)
    points = [
        (n * step, HEIGHT - count / top * (HEIGHT - 8))
        for n, count in enumerate(counts[:-1])
        if count is not None
    ]
    latest = [count for count in counts[-6:-1] if count is not None]
    return {
        "key": key,
        "name": name,
        "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        "total": f"{sum(count or 0 for count in counts):,}",
        "rate": f"{sum(latest) / (60 * len(latest)):,.1f}" if latest else "0.0",
    }

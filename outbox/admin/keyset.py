"""Pages of a huge table: by the key of a row instead of by an offset, and found in bounded time.

A page further back costs what the first one costs ("keyset paging"; Markus Winand, use-the-index-luke.com). How the
rows of a filter are found is up to what the planner says of them:

- in the key's order, until the page is full: for longer where an index leads to few, as it ends with them;
- some, by an index of their own, when that took too long: all of them are read and sorted;
- else slice by slice, latest first, as far as the time allows. The page says how far that was, and leads on from there.

The planner knows little of words in a text, so what it says is a hint and the time decides. A page's own work (session,
permissions, template) takes about as long as all that is allowed here.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from math import inf
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.functions import Greatest

from outbox.admin.bounded import TookTooLong, time_limit

FEW = 1_000
"""Rows that an index leads to, so that looking at all of them is quick."""
SOME = 25_000
"""Rows that are read and sorted when the key's order did not lead to a page soon."""
CHEAP = 40_000.0
"""The most that finding them may cost, in the planner's units."""
IN_ALL = 0.14
"""Seconds that a page has for all of its ways. Only the first slice is searched whatever it takes."""
LOOKING = 0.1
"""Seconds for a way that an index makes quick, in all likelihood."""
FREELY = 0.04
"""Seconds for a page in the key's order where many rows may lie in between."""
FIRST_SLICE = 10_000
"""Rows; each further slice has twice as many."""


@dataclass(frozen=True)
class Position:
    """Where in the list: rows older than ``before``, or newer than ``after``, or the latest."""

    before: Any = None
    after: Any = None
    likely: Any = None
    """Where a search slice by slice begins, if there is reason to think that next to nothing is found above."""


@dataclass(frozen=True)
class Page:
    """A page of rows, latest first.

    Args:
        rows: at most a page of them.
        newer: whether the list goes on above.
        older: whether it goes on below, as far as is known.
        searched_to: key of the oldest row that was looked at, when the search stopped there; older matches may exist.
    """

    rows: list[Any]
    newer: bool
    older: bool
    searched_to: Any = None


def page_of(rows: QuerySet[Any], position: Position, size: int) -> Page:
    """The rows of a page.

    Args:
        rows: filtered; ordered by their key, descending, whatever order they come in.
        position: where the page begins.
        size: rows of a page.

    Not guaranteed: that nothing is left out above or below while rows are being written; the next page has them.
    """
    end = time.monotonic() + IN_ALL
    if position.after is not None:
        found = _ask(rows.filter(pk__gt=position.after), size, end, descending=False)
        if found is None:
            return page_of(rows, Position(), size)
        return Page(found[:size][::-1], newer=len(found) > size, older=True)
    found = _ask(_before(rows, position.before), size, end, descending=True)
    if found is None:
        return _search(rows, position.before or position.likely, size, end)
    return Page(found[:size], newer=position.before is not None, older=len(found) > size)


def _before(rows: QuerySet[Any], key: Any) -> QuerySet[Any]:
    return rows if key is None else rows.filter(pk__lt=key)


def _ask(rows: QuerySet[Any], size: int, end: float, *, descending: bool) -> list[Any] | None:
    """One row more than a page has; ``None`` when that takes too long."""
    for key, seconds in _ways(_expected(rows)):
        ordered = rows.order_by(key)
        try:
            with time_limit(rows.db, min(seconds, end - time.monotonic())):
                return list((ordered.reverse() if descending else ordered)[: size + 1])
        except TookTooLong:
            continue
    return None


def _ways(expected: float) -> list[tuple[Any, float]]:
    """What to order by, and the seconds it may take; one after the other."""
    if expected <= FEW:
        return [("pk", LOOKING)]
    # The planner does not see that an expression has the order of the key, and so uses the filter's own index.
    return [("pk", FREELY), (Greatest("pk", "pk"), LOOKING)] if expected <= SOME else [("pk", FREELY)]


def _expected(rows: QuerySet[Any]) -> float:
    """How many rows the planner expects; no bound where finding them all is not cheap."""
    if connections[rows.db].vendor != "postgresql":
        return inf
    (plan,) = json.loads(rows.order_by().explain(format="json"))
    cheap = plan["Plan"]["Total Cost"] <= CHEAP
    return float(plan["Plan"]["Plan Rows"]) if cheap else inf


def _search(rows: QuerySet[Any], before: Any, size: int, end: float) -> Page:
    """Slice by slice, until the page is full, the table ends, or the time does not suffice for one more."""
    found: list[Any] = []
    newer, length, began = before is not None, FIRST_SLICE, time.monotonic()
    while True:
        last = _last_of_slice(rows, before, length)
        part = _before(rows, before).order_by("-pk")
        found += (part if last is None else part.filter(pk__gte=last))[: size + 1 - len(found)]
        if len(found) > size:
            return Page(found[:size], newer, older=True)
        if last is None:
            return Page(found, newer, older=False)
        took, began = time.monotonic() - began, time.monotonic()
        if began + 2 * took > end:
            return Page(found, newer, older=True, searched_to=last)
        before, length = last, length * 2


def _last_of_slice(rows: QuerySet[Any], before: Any, length: int) -> Any:
    """The key that ends a slice of the whole table; ``None`` when fewer rows are left. Reads the key's index only."""
    table = _before(rows.model._default_manager.using(rows.db), before).order_by("-pk")
    return table.values_list("pk", flat=True)[length - 1 : length].first()

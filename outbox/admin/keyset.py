"""Pages of a huge table: by the key of a row instead of by an offset, and found in bounded time.

A page further back costs what the first one costs ("keyset paging"; Markus Winand, use-the-index-luke.com). How the
rows of a filter are found is up to what the planner says of them:

- few, by an index of their own: all of them are read and sorted;
- else in the key's order, for a moment, until the page is full;
- where that takes too long, slice by slice, latest first, as far as the time allows. The page says how far that was,
  and leads on from there.
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
"""Rows that are at once read and sorted for a page, where an index finds them."""
SOME = 25_000
"""Rows that are read and sorted when the key's order did not lead to a page soon."""
CHEAP = 40_000.0
"""The most that finding them may cost, in the planner's units."""
SORTING = 0.15
"""Seconds for reading and sorting them."""
FREELY = 0.06
"""Seconds for a page in the key's order."""
SEARCHING = 0.08
"""Seconds for a search slice by slice: at least one slice is searched, whatever it takes."""
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
    if position.after is not None:
        found = _ask(rows.filter(pk__gt=position.after), size, descending=False)
        if found is None:
            return page_of(rows, Position(), size)
        return Page(found[:size][::-1], newer=len(found) > size, older=True)
    found = _ask(_before(rows, position.before), size, descending=True)
    if found is None:
        return _search(rows, position.before or position.likely, size)
    return Page(found[:size], newer=position.before is not None, older=len(found) > size)


def _before(rows: QuerySet[Any], key: Any) -> QuerySet[Any]:
    return rows if key is None else rows.filter(pk__lt=key)


def _ask(rows: QuerySet[Any], size: int, *, descending: bool) -> list[Any] | None:
    """One row more than a page has; ``None`` when that takes too long."""
    expected = _expected(rows)
    # The planner does not see that an expression has the order of the key, and so uses the filter's own index.
    by_key: tuple[Any, float] = ("pk", FREELY)
    by_filter: tuple[Any, float] = (Greatest("pk", "pk"), SORTING)
    ways = [by_filter] if expected <= FEW else [by_key, by_filter] if expected <= SOME else [by_key]
    for key, seconds in ways:
        ordered = rows.order_by(key)
        try:
            with time_limit(rows.db, seconds):
                return list((ordered.reverse() if descending else ordered)[: size + 1])
        except TookTooLong:
            continue
    return None


def _expected(rows: QuerySet[Any]) -> float:
    """How many rows the planner expects; no bound where finding them all is not cheap."""
    if connections[rows.db].vendor != "postgresql":
        return inf
    (plan,) = json.loads(rows.order_by().explain(format="json"))
    cheap = plan["Plan"]["Total Cost"] <= CHEAP
    return float(plan["Plan"]["Plan Rows"]) if cheap else inf


def _search(rows: QuerySet[Any], before: Any, size: int) -> Page:
    """Slice by slice, until the page is full, the table ends, or the time is over."""
    found: list[Any] = []
    newer, length, end = before is not None, FIRST_SLICE, time.monotonic() + SEARCHING
    while True:
        last = _last_of_slice(rows, before, length)
        part = _before(rows, before).order_by("-pk")
        found += (part if last is None else part.filter(pk__gte=last))[: size + 1 - len(found)]
        if len(found) > size:
            return Page(found[:size], newer, older=True)
        if last is None:
            return Page(found, newer, older=False)
        if time.monotonic() > end:
            return Page(found, newer, older=True, searched_to=last)
        before, length = last, length * 2


def _last_of_slice(rows: QuerySet[Any], before: Any, length: int) -> Any:
    """The key that ends a slice of the whole table; ``None`` when fewer rows are left. Reads the key's index only."""
    table = _before(rows.model._default_manager.using(rows.db), before).order_by("-pk")
    return table.values_list("pk", flat=True)[length - 1 : length].first()

"""Pages of a huge table: by the key of a row instead of by an offset, and found in bounded time.

A page further back costs what the first one costs ("keyset paging"; Markus Winand, use-the-index-luke.com). An
ordinary filter is answered by whatever index the planner likes. One that has none, such as a word of an error, might
read the whole table for a page; so the database gets a moment, and then the rows are searched slice by slice, latest
first, as far as the time allows. The page says how far that was, and leads on from there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from outbox.admin.bounded import TookTooLong, time_limit

FREELY = 0.1
"""Seconds for a page by the planner's own choice of an index."""
SEARCHING = 0.12
"""Seconds for a search slice by slice: at least one slice is searched, whatever it takes."""
FIRST_SLICE = 10_000
"""Rows; each further slice has twice as many."""


@dataclass(frozen=True)
class Position:
    """Where in the list: rows older than ``before``, or newer than ``after``, or the latest."""

    before: Any = None
    after: Any = None


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
        found = _ask(rows.filter(pk__gt=position.after).order_by("pk"), size)
        if found is None:
            return page_of(rows, Position(), size)
        return Page(found[:size][::-1], newer=len(found) > size, older=True)
    found = _ask(_before(rows, position.before), size)
    if found is None:
        return _search(rows, position.before, size)
    return Page(found[:size], newer=position.before is not None, older=len(found) > size)


def _before(rows: QuerySet[Any], key: Any) -> QuerySet[Any]:
    return (rows if key is None else rows.filter(pk__lt=key)).order_by("-pk")


def _ask(rows: QuerySet[Any], size: int) -> list[Any] | None:
    """One row more than a page has; ``None`` when that takes too long."""
    try:
        with time_limit(rows.db, FREELY):
            return list(rows[: size + 1])
    except TookTooLong:
        return None


def _search(rows: QuerySet[Any], before: Any, size: int) -> Page:
    """Slice by slice, until the page is full, the table ends, or the time is over."""
    found: list[Any] = []
    newer, length, end = before is not None, FIRST_SLICE, time.monotonic() + SEARCHING
    while True:
        last = _last_of_slice(rows, before, length)
        part = _before(rows, before)
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
    table = _before(rows.model._default_manager.using(rows.db), before)
    return table.values_list("pk", flat=True)[length - 1 : length].first()

"""Pages of a table that may be huge."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db import connections
from django.db.models import QuerySet
from django.utils.functional import cached_property

from outbox.admin.bounded import TookTooLong, time_limit

MOST_COUNTED = 10_000
"""Rows that are counted one by one; beyond, a number is not worth reading the table for."""
COUNTING = 0.04
"""Seconds."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # generic in its stubs only
    """Counts at most :data:`MOST_COUNTED` rows, for a moment; of a whole table it shows the database's estimate.

    Not guaranteed: that ``count`` is exact above that bound. A filtered list ends there: filter further. A
    page of an unfiltered list near the estimated end may be empty, or not the last.
    """

    template_name = "admin/console/pagination.html"
    is_known = True
    """Whether the rows could be counted in the time that a page has for it."""

    @cached_property
    def count(self) -> int:
        """Rows, or what is known about their number."""
        rows: Any = self.object_list
        guess = estimate(rows)
        if guess > MOST_COUNTED:
            return guess
        try:
            with time_limit(rows.db, COUNTING):
                return int(rows.order_by()[:MOST_COUNTED].count())
        except TookTooLong:
            self.give_up()
            return self.count

    def give_up(self) -> None:
        """Do not count: it takes too long."""
        self.count, self.is_known = MOST_COUNTED, False

    @property
    def is_exact(self) -> bool:
        """Whether ``count`` is the number of rows."""
        return self.count < MOST_COUNTED

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than were counted."""
        return self.count == MOST_COUNTED


def estimate(rows: QuerySet[Any]) -> int:
    """The number of rows of a whole table when it was last analysed; 0 where that says nothing about these rows."""
    connection = connections[rows.db]
    if rows.query.where or connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [rows.model._meta.db_table]
        )
        return int(cursor.fetchone()[0])

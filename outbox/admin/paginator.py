"""Pages of a table that may be huge."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db import connections
from django.utils.functional import cached_property

MOST_COUNTED = 10_000
"""Rows that are counted one by one; beyond, a number is not worth reading the table for."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # generic in its stubs only
    """Counts at most :data:`MOST_COUNTED` rows; of a whole table it shows the database's own estimate.

    Not guaranteed: that ``count`` is exact above that bound. A filtered list ends there: filter further. A
    page of an unfiltered list near the estimated end may be empty, or not the last.
    """

    template_name = "admin/console/pagination.html"

    @cached_property
    def count(self) -> int:
        """Rows, or what is known about their number."""
        estimate = self._estimate()
        if estimate > MOST_COUNTED:
            return estimate
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())

    @property
    def is_exact(self) -> bool:
        """Whether ``count`` is the number of rows."""
        return self.count < MOST_COUNTED

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than these pages lead to."""
        return self.count == MOST_COUNTED

    def _estimate(self) -> int:
        """The number of rows when the table was last analysed; 0 where that says nothing about this list."""
        rows: Any = self.object_list
        connection = connections[rows.db]
        if rows.query.where or connection.vendor != "postgresql":
            return 0
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [rows.model._meta.db_table]
            )
            return int(cursor.fetchone()[0])

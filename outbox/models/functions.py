"""Database functions that Django does not have."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, UUIDField
from django.db.models.sql.compiler import SQLCompiler


class RandomUUID(Func):
    """A random UUID made by the database, for rows that a person inserts with SQL."""

    template = "gen_random_uuid()"
    output_field = UUIDField()

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        """SQLite keeps a UUID as 32 hexadecimal characters."""
        return self.as_sql(compiler, connection, template="(lower(hex(randomblob(16))))", **context)

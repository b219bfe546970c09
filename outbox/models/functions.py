"""Database functions that Django does not have."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, UUIDField
from django.db.models.sql.compiler import SQLCompiler

UUIDV7_SINCE = 180_000
"""PostgreSQL's version number from which it can make version 7 UUIDs."""


class RandomUUID(Func):
    """A UUID made by the database, for rows that a person inserts with SQL.

    From PostgreSQL 18 on it begins with the time, as those made in Python do, so that lists in the key's order
    are in the order of time. On older servers it is random.
    """

    template = "gen_random_uuid()"
    output_field = UUIDField()

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        """The version is the server's at the time of the migration."""
        template = "uuidv7()" if getattr(connection, "pg_version", 0) >= UUIDV7_SINCE else self.template
        return self.as_sql(compiler, connection, template=template, **context)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        """SQLite keeps a UUID as 32 hexadecimal characters."""
        return self.as_sql(compiler, connection, template="(lower(hex(randomblob(16))))", **context)

    def as_mysql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        """MariaDB has a type for it; MySQL keeps 32 hexadecimal characters."""
        native = connection.features.has_native_uuid_field
        return self.as_sql(
            compiler, connection, template="uuid()" if native else "replace(uuid(), '-', '')", **context
        )

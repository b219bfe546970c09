"""The connection that carries the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from outbox.conf import conf

DATABASE_AWAY = (OperationalError, InterfaceError)
"""What it looks like when the database is away, or ended a statement for its own reasons: nobody's outcome."""


def connection() -> BaseDatabaseWrapper:
    """The connection of this thread to the outbox's database."""
    return connections[conf().DATABASE]


def atomic() -> transaction.Atomic:
    """A transaction (or a savepoint in the one that is open) on the outbox's database."""
    return transaction.atomic(using=conf().DATABASE)


def execute(sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> int:
    """Run one statement; returns the number of rows it touched."""
    with connection().cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def fetch(sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement; returns all its rows."""
    with connection().cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())

"""The connection that carries the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from outbox.conf import conf

DATABASE_AWAY = (OperationalError, InterfaceError)
"""What it looks like when the database is away, or ended a statement for its own reasons: nobody's outcome."""

PREPARE_AFTER = 3
"""Times that a connection runs a statement that may be prepared before it is."""


def connection() -> BaseDatabaseWrapper:
    """The connection of this thread to the outbox's database."""
    return connections[conf().DATABASE]


def atomic() -> transaction.Atomic:
    """A transaction (or a savepoint in the one that is open) on the outbox's database."""
    return transaction.atomic(using=conf().DATABASE)


def execute(sql: str, params: Sequence[Any] | Mapping[str, Any] = (), *, prepared: bool = False) -> int:
    """Run one statement; returns the number of rows it touched."""
    with _cursor(prepared) as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def fetch(
    sql: str, params: Sequence[Any] | Mapping[str, Any] = (), *, prepared: bool = False
) -> list[tuple[Any, ...]]:
    """Run one statement; returns all its rows.

    Args:
        sql: with ``%s`` for each parameter.
        params: the values.
        prepared: it is one that runs all the time: have the server plan it once for this connection. Planning takes
            longer than finding a row by its key. A plan that was made for a small table is used until the table is
            analysed or the connection is closed (``CONN_MAX_AGE``).
    """
    with _cursor(prepared) as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def _cursor(prepared: bool) -> CursorWrapper:
    """A cursor, one whose statements stay prepared if that is asked for and possible.

    A pooler that gives each transaction another connection of its own (which Django is told of by
    ``DISABLE_SERVER_SIDE_CURSORS``) keeps no prepared statements.
    """
    wrapper = connection()
    if not prepared or wrapper.vendor != "postgresql" or wrapper.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        return wrapper.cursor()
    from psycopg import Cursor

    wrapper.ensure_connection()
    raw = wrapper.connection
    raw.prepare_threshold = PREPARE_AFTER
    usual, raw.cursor_factory = raw.cursor_factory, Cursor
    try:
        return wrapper.cursor()
    finally:
        raw.cursor_factory = usual

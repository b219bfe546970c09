"""The connection that carries the outbox."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from django.db import InterfaceError, NotSupportedError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from outbox.conf import conf

DATABASE_AWAY = (OperationalError, InterfaceError)
"""What it looks like when the database is away, or ended a statement for its own reasons: nobody's outcome."""

KEPT = "_outbox_cursor"
"""Where a connection of psycopg has it."""
PREPARE_AFTER = 3
"""Times that a connection runs a statement that may be prepared before it is."""
PLAN_SECONDS = 15.0
"""How long a plan is used. One that was made for a table of a page reads all of it, however large it is by then."""


def connection() -> BaseDatabaseWrapper:
    """The connection of this thread to the outbox's database."""
    return connections[conf().DATABASE]


def atomic() -> transaction.Atomic:
    """A transaction (or a savepoint in the one that is open) on the outbox's database."""
    return transaction.atomic(using=conf().DATABASE)


def last_hook() -> Any:
    """What was last asked to run after the commit of this transaction, in the savepoint that is open now, if any is."""
    hooks = connection().run_on_commit
    return hooks[-1][1] if hooks and hooks[-1][0] == set(connection().savepoint_ids) else None


def execute(sql: str, params: Sequence[Any] | Mapping[str, Any] = (), *, prepared: bool = False) -> int:
    """Run one statement; returns the number of rows it touched. For the rest see :func:`fetch`."""
    with _running(sql, params, prepared) as cursor:
        return int(cursor.rowcount)


def fetch(
    sql: str, params: Sequence[Any] | Mapping[str, Any] = (), *, prepared: bool = False
) -> list[tuple[Any, ...]]:
    """Run one statement; returns all its rows.

    It runs on the outbox's database (``OUTBOX["DATABASE"]``), in the transaction that is open there, whatever other
    database has one open, too.

    Args:
        sql: with ``%s`` for each parameter.
        params: the values; a sequence where it is prepared.
        prepared: it is one that runs all the time and touches a few rows: have the server plan it once for many runs.
            Planning takes longer than finding a row by its key. It has no other ``%`` than those of its placeholders.

    Raises:
        NotSupportedError: since it was planned, a migration has given a column of its result another type. Only within
            a transaction, and once in each connection; outside of one it is planned anew.
    """
    with _running(sql, params, prepared) as cursor:
        return list(cursor.fetchall())


@contextmanager
def _running(sql: str, params: Any, prepared: bool) -> Iterator[CursorWrapper]:
    wrapper = connection()
    if prepared and not wrapper.queries_logged and _keeps_statements(wrapper):
        cursor = _kept_cursor(wrapper)
        another_text_another_plan = f"{_numbered(sql)} /* {time.monotonic() // PLAN_SECONDS:.0f} */"
        with transaction.mark_for_rollback_on_error(wrapper.alias):
            _execute_planned(wrapper, cursor, another_text_another_plan, params)
        yield cursor
    else:
        with wrapper.cursor() as cursor:
            cursor.execute(sql, params)
            yield cursor


def _execute_planned(wrapper: BaseDatabaseWrapper, cursor: CursorWrapper, sql: str, params: Any) -> None:
    try:
        cursor.execute(sql, params)
    except NotSupportedError:  # a migration gave a column another type: refused before anything was done
        if wrapper.in_atomic_block:
            raise  # when that is rolled back, psycopg forgets all plans
        cursor.execute("DEALLOCATE ALL")  # and here, too
        cursor.execute(sql, params)


@lru_cache(maxsize=500)
def _numbered(sql: str) -> str:
    """With PostgreSQL's own placeholders: psycopg would do that again each time for more than fifty of them."""
    first, *rest = sql.split("%s")
    return first + "".join(f"${number}{text}" for number, text in enumerate(rest, 1))


def _keeps_statements(wrapper: BaseDatabaseWrapper) -> bool:
    """A pooler that gives each transaction another connection does not.

    Django is told of it by ``DISABLE_SERVER_SIDE_CURSORS``, and psycopg by a ``prepare_threshold`` of ``None``.
    """
    settings = wrapper.settings_dict
    is_forbidden = settings["OPTIONS"].get("prepare_threshold", PREPARE_AFTER) is None
    return (
        wrapper.vendor == "postgresql"
        and not is_forbidden
        and not settings.get("DISABLE_SERVER_SIDE_CURSORS")
    )


def _kept_cursor(wrapper: BaseDatabaseWrapper) -> CursorWrapper:
    """One that prepares, made once for a connection: to make it takes as long as to run a statement.

    All that a statement returns is read before the next one runs, so that one is enough.
    """
    wrapper.close_if_health_check_failed()
    wrapper.ensure_connection()
    raw = wrapper.connection
    kept = getattr(raw, KEPT, None)
    if kept is None:
        with wrapper.wrap_database_errors:
            kept = _preparing_cursor(wrapper)
        setattr(raw, KEPT, kept)
    return wrapper.make_cursor(kept)


def _preparing_cursor(wrapper: BaseDatabaseWrapper) -> Any:
    from psycopg import RawCursor

    raw = wrapper.connection
    raw.prepare_threshold = PREPARE_AFTER
    usual, raw.cursor_factory = raw.cursor_factory, RawCursor
    try:
        return wrapper.create_cursor()
    finally:
        raw.cursor_factory = usual

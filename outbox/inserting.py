"""Rows on their way into the table: the one function that all publishing ends in.

PostgreSQL gets plain SQL: a model instance and ``bulk_create`` cost several times the INSERT itself. A few rows go as
one ``INSERT … VALUES``, many as a ``COPY``. Other databases get Django's models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from outbox import inserting_models
from outbox.database import connection, execute, fetch
from outbox.relay.courier import LEASE, Courier
from outbox.relay.handing_over import courier_for, send_on_commit
from outbox.relay.wakeup import wake_on_commit
from outbox.rows import COLUMNS, REPLACED, NewMessage, latest

Part = tuple[str, list[Any], Callable[[], None]]

ROWS_PER_STATEMENT = 1000
COPY_FROM = 20
"""Rows from which on a COPY is quicker than VALUES."""

INSERT = f"INSERT INTO outbox_message ({', '.join(COLUMNS)}) VALUES "  # noqa: S608  (constants only)
INSERT_CLAIMED = INSERT.replace(") VALUES ", ", status, attempts, lock_id, locked_by, locked_until) VALUES ")
COPY = f"COPY outbox_message ({', '.join(COLUMNS[:-1])}) FROM STDIN"
VALUES = "%s, %s, %s, %s::jsonb, %s::jsonb, %s, %s, %s, %s, %s, %s"
ON_CONFLICT = f"""
ON CONFLICT (consumer, schedule_key) WHERE schedule_key IS NOT NULL DO UPDATE
SET waits_for = NULL, {", ".join(f"{name} = excluded.{name}" for name in REPLACED)}
RETURNING consumer, schedule_key, id
"""
ON_CONFLICT_COALESCE = ON_CONFLICT.replace(
    "excluded.next_attempt_at", "least(outbox_message.next_attempt_at, excluded.next_attempt_at)"
)


def insert(messages: Sequence[NewMessage]) -> list[UUID]:
    """Write rows in one INSERT per thousand, and have them sent at once, or the relay woken, after the commit.

    A message with a ``schedule_key`` replaces the one that waits unsent under the same name for the same consumer.

    Returns:
        The ids of the rows, in the order given; that of the replaced one, where one was replaced.
    """
    if not messages:
        return []
    with_sql = _has_own_sql()
    if with_sql and (courier := courier_for(messages)):
        sql, params, follow_up = _claimed(courier, messages)
        execute(sql, params, prepared=True)
        follow_up()
        return [message.id for message in messages]
    plain = [message for message in messages if message.schedule_key is None]
    for start in range(0, len(plain), ROWS_PER_STATEMENT):
        (_write if with_sql else inserting_models.write)(plain[start : start + ROWS_PER_STATEMENT])
    ids: dict[tuple[str, str | None], UUID] = {}
    if len(plain) < len(messages):
        named = [message for message in messages if message.schedule_key is not None]
        ids = (_replace if with_sql else inserting_models.replace)(named)
    _wake_for(messages)
    return [ids.get(message.name, message.id) for message in messages]


def as_part(messages: Sequence[NewMessage]) -> Part:
    """The INSERT of a few messages, for a caller that makes it a part of a statement of its own. PostgreSQL's only.

    Args:
        messages: none of which has a ``schedule_key``.

    Returns:
        SQL, its parameters, and what to call after it, in the same transaction: that has the messages sent at once, or
        the relay woken, after the commit.
    """
    if courier := courier_for(messages):
        return _claimed(courier, messages)
    values, params = _values(messages)
    return INSERT + values, params, partial(_wake_for, messages)


def _has_own_sql() -> bool:
    return connection().vendor == "postgresql"


def _write(rows: Sequence[NewMessage]) -> None:
    if len(rows) >= COPY_FROM and not any(row.delay > 0 or row.next_attempt_at for row in rows):
        _copy(rows)
    else:
        values, params = _values(rows)
        execute(INSERT + values, params)


def _wake_for(messages: Sequence[NewMessage]) -> None:
    if any(message.is_due for message in messages):
        wake_on_commit()


def _claimed(courier: Courier, rows: Sequence[NewMessage]) -> Part:
    claim = "'processing', 1, %s, %s, statement_timestamp() + make_interval(secs => %s)"
    line = f"({VALUES}, DEFAULT, {claim})"
    ours = [courier.claim.lock_id, courier.name, LEASE]
    params = [value for row in rows for value in (*row.values(), *ours)]
    send = partial(send_on_commit, courier, rows, time.monotonic())
    return INSERT_CLAIMED + ", ".join([line] * len(rows)), params, send


def _copy(rows: Sequence[NewMessage]) -> None:
    database = connection()
    with database.cursor() as cursor, database.wrap_database_errors, cursor.copy(COPY) as copy:
        for row in rows:
            copy.write_row(row.values())


def _replace(rows: Sequence[NewMessage]) -> dict[tuple[str, str | None], UUID]:
    ids: dict[tuple[str, str | None], UUID] = {}
    for coalesce, conflict in ((False, ON_CONFLICT), (True, ON_CONFLICT_COALESCE)):
        if chosen := latest(row for row in rows if row.coalesce == coalesce):
            values, params = _values(chosen)
            ids |= {
                (consumer, name): id_ for consumer, name, id_ in fetch(INSERT + values + conflict, params)
            }
    return ids


def _values(rows: Iterable[NewMessage]) -> tuple[str, list[Any]]:
    """The VALUES list and its parameters."""
    lists: list[str] = []
    params: list[Any] = []
    for row in rows:
        params += row.values()
        if row.next_attempt_at is not None:
            lists.append(f"({VALUES}, %s)")
            params.append(row.next_attempt_at)
        elif row.delay > 0:
            lists.append(f"({VALUES}, statement_timestamp() + make_interval(secs => %s))")
            params.append(float(row.delay))
        else:
            lists.append(f"({VALUES}, DEFAULT)")
    return ", ".join(lists), params

"""Many rows like one: made by the server itself from a row that the real code wrote, with ids of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg import Connection, sql

DUE_FOR = timedelta(hours=1)
"""How long copies have been due when they are made."""
TEXTS = ("text", "character varying", "jsonb")


def keep_template(connection: Connection[Any], table: str, name: str) -> None:
    """Move the only row of the table into a table of its own, to copy it from."""
    connection.execute(
        sql.SQL("CREATE TABLE {} AS SELECT * FROM {}").format(sql.Identifier(name), sql.Identifier(table))
    )
    connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier(table)))


def copy_template(connection: Connection[Any], table: str, name: str, count: int, **overrides: str) -> None:
    """Insert so many copies, in one transaction.

    Each gets an id of its own, which also replaces the template's wherever that stands: in the key, in headers,
    in texts. Due times lie a tenth of a millisecond apart.

    Args:
        overrides: SQL expressions for columns; ``n`` is the row's number, from 1.
    """
    columns = _columns(connection, table)
    id_column = "task_id" if "task_id" in columns else "id"
    if id_column != "id":
        del columns["id"]  # a sequence gives it
    expressions = [
        sql.SQL(overrides.get(column) or _copied(column, kind, id_column))
        for column, kind in columns.items()  # type: ignore[arg-type]
    ]
    connection.execute(
        sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {expressions} FROM {template} t,"
            " (SELECT n, uuidv7() AS new_id FROM generate_series(1, {count}) n) made"
        ).format(
            table=sql.Identifier(table),
            template=sql.Identifier(name),
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            expressions=sql.SQL(", ").join(expressions),
            count=sql.Literal(count),
        )
    )


def settle_down(connection: Connection[Any], table: str) -> None:
    """What autovacuum and the checkpointer would do a little later, now: so that they do not do it in between."""
    connection.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(table)))
    connection.execute("CHECKPOINT")


def _columns(connection: Connection[Any], table: str) -> dict[str, str]:
    return dict(
        connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
            [table],
        ).fetchall()
    )


def _copied(column: str, kind: str, id_column: str) -> str:
    if column == id_column:
        return "new_id" if kind == "uuid" else "new_id::text"
    if column == "next_attempt_at":
        return (
            f"now() - make_interval(secs => {DUE_FOR.total_seconds()}) + make_interval(secs => n / 10000.0)"
        )
    if kind in TEXTS:
        return f'replace(t."{column}"::text, t."{id_column}"::text, new_id::text)::{kind}'
    return f't."{column}"'

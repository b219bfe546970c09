"""What PostgreSQL is told about the outbox's tables, and what it tells about who keeps vacuum from cleaning them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.checks import Tags, run_checks
from django.db import connection

from outbox import storage


@pytest.fixture
def other() -> Iterator[Any]:
    """Another session in the same database, in a transaction that sees the past."""
    params = connection.get_connection_params()
    params = {name: params[name] for name in ("host", "port", "user", "password", "dbname")}
    with psycopg.connect(**params, application_name="reporting") as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT count(*) FROM outbox_message /* the monthly report */")
        yield session


def checked() -> list[tuple[str, str, str]]:
    found = run_checks(tags=[Tags.database], databases=["default"])
    return [(m.id, m.msg, m.hint) for m in found if m.id.startswith("outbox.")]


def alter(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_the_migration_sets_what_is_wanted(db) -> None:
    """All options, with the values that the code gives reasons for."""
    assert storage.missing_options() == {}
    have = {table: dict(option.split("=") for option in options) for table, options in storage._options()}
    assert have == storage.WANTED
    assert checked() == []


def test_a_missing_option_is_explained_with_its_remedy(db) -> None:
    """And one that a person set otherwise is that person's affair."""
    alter("ALTER TABLE outbox_message RESET (fillfactor)")
    alter("ALTER TABLE outbox_message SET (autovacuum_vacuum_threshold = 1)")
    ((id_, message, hint),) = checked()
    assert id_ == "outbox.W010"
    assert "no fillfactor" in message
    assert "ALTER TABLE outbox_message SET (fillfactor = 70);" in hint
    alter("ALTER TABLE outbox_message SET (fillfactor = 70)")
    assert checked() == []


def test_a_missing_index_is_named(db) -> None:
    """Whoever dropped it, or whatever kept it from being made."""
    alter("DROP INDEX outbox_due")
    ((id_, message, _),) = checked()
    assert id_ == "outbox.W011"
    assert "outbox_due" in message


def test_before_the_first_migration_nothing_is_missing(db) -> None:
    """``migrate`` itself asks; there is nothing to warn of yet."""
    alter("ALTER TABLE outbox_message RENAME TO was_message")
    alter("ALTER TABLE outbox_attempt RENAME TO was_attempt")
    assert checked() == []


def test_a_session_with_an_old_snapshot_is_named(transactional_db, other) -> None:
    """With who it is, for how long, what it runs, and how to end it."""
    (holder,) = storage.horizon_holders(seconds=0)
    assert (holder.kind, holder.name) == ("session", str(other.info.backend_pid))
    assert "reporting" in holder.who
    assert holder.state == "idle in transaction"
    assert "the monthly report" in holder.query
    assert holder.seconds is not None
    assert 0 <= holder.seconds < 60
    assert holder.remedy == f"SELECT pg_terminate_backend({holder.name})"
    assert f"Session {holder.name} (" in str(holder)
    assert storage.horizon_holders(seconds=3600) == []


def test_sizes_are_told(db) -> None:
    """Of the table and of its indexes."""
    found = {table.name: table for table in storage.tables()}
    assert set(found) == {"outbox_message", "outbox_attempt"}
    assert found["outbox_message"].index_bytes > 0

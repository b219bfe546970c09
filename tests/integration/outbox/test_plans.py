"""Plans that are kept, where tables change below them, and where what ran by them fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from django.db import IntegrityError, NotSupportedError, connection, connections, transaction

from outbox import database

pytestmark = pytest.mark.django_db(transaction=True)

READ = "SELECT name FROM planned WHERE id = %s"
OFTEN = range(2 * database.PREPARE_AFTER)


@pytest.fixture
def planned() -> Iterator[None]:
    """A table, and a plan of what reads it."""
    connection.close()
    database.execute("CREATE TABLE planned (id int UNIQUE, name varchar(10))")
    database.execute("INSERT INTO planned VALUES (1, 'one')")
    for _ in OFTEN:
        assert _read() == [("one",)]
    yield
    database.execute("DROP TABLE planned")


@pytest.mark.usefixtures("planned")
def test_a_column_of_another_type_is_planned_anew() -> None:
    """A migration runs beside old processes: those go on, on each connection."""
    _migrate()
    for _ in OFTEN:
        assert _read() == [("one",)]


@pytest.mark.usefixtures("planned")
def test_within_a_transaction_the_next_one_has_a_new_plan() -> None:
    """The server has ended the transaction; whoever tries again succeeds."""
    with pytest.raises(NotSupportedError), transaction.atomic():
        _migrate()
        _read()
    with transaction.atomic():
        assert _read() == [("one",)]


@pytest.mark.usefixtures("planned")
def test_what_fails_in_a_transaction_ends_it() -> None:
    """Also where the error is caught: nothing counts as committed afterwards."""
    told: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: told.append("committed"))
        with suppress(IntegrityError):
            database.execute("INSERT INTO planned VALUES (%s, 'again')", [1], prepared=True)
    assert told == []


def _read() -> list[tuple[str]]:
    return database.fetch(READ, [1], prepared=True)  # type: ignore[return-value]


def _migrate() -> None:
    """From another connection, as it comes: psycopg would see one of its own."""
    other = connections.create_connection("default")
    with closing(other), other.cursor() as cursor:
        cursor.execute("ALTER TABLE planned ALTER name TYPE varchar(20)")

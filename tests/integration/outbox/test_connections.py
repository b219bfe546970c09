"""Connections and plans outlive a task; neither outlives its use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import current_app
from django.db import DataError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from outbox import database
from outbox.connections import drop_interrupted, look_after_connections
from outbox.fixup import KeepingWorkerFixup
from outbox.relay.engine import Relay
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox import sample

pytestmark = pytest.mark.django_db(transaction=True)

STATEMENT = "SELECT %s::int + 1"
STATEMENTS = "SELECT statement FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1::int%%'"
END = "SELECT pg_terminate_backend(%s, 20000)"
"""Waits until it has ended, for so many milliseconds at most."""


@pytest.fixture(params=[True])
def checked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whether this thread's connection is checked before it is used again: as in production, it is."""
    connection.ensure_connection()
    before, connection.health_check_enabled = connection.health_check_enabled, request.param
    yield
    connection.health_check_enabled = before


def backends(platform: Platform) -> list[int]:
    """Which of the server's processes served the tasks so far, in their order."""
    text = platform.processes[-1].output
    return [
        int(line.partition("served by ")[2].split()[0]) for line in text.splitlines() if "served by " in line
    ]


def end(backend: int) -> None:
    """Have the server end a connection, as a restart does."""
    database.fetch(END, [backend])


def ours() -> int:
    """The server's process of this thread's connection."""
    return int(database.fetch("SELECT pg_backend_pid()")[0][0])


def test_a_worker_keeps_its_connection_and_replaces_a_dead_one(platform: Platform) -> None:
    """One connection for task after task; when the server has ended it, the next task has a new one, and succeeds."""
    platform.worker("default", concurrency=1, include=sample.__name__, OUTBOX_WAKE_UP="")
    relay = Relay()

    def run(count: int) -> list[int]:
        before = len(backends(platform))
        for _ in range(count):
            sample.who_serves.apply_async(queue="default")
        relay.turn()
        wait_until(lambda: len(backends(platform)) == before + count, "the tasks to run")
        return backends(platform)[before:]

    first, *others = run(3)
    assert set(others) == {first}
    end(first)
    again, *others = run(3)
    assert again != first
    assert set(others) == {again}
    relay.close()


@pytest.mark.usefixtures("checked")
def test_a_connection_that_is_open_is_not_asked() -> None:
    """A look at its socket says as much as a statement."""
    backend = ours()
    look_after_connections()
    with CaptureQueriesContext(connection) as queries:
        assert ours() == backend
    assert len(queries) == 1
    assert connection.health_check_done


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("checked", [True, False], indirect=True, ids=["CONN_HEALTH_CHECKS", "without"])
def test_a_connection_that_was_ended_is_replaced() -> None:
    """Nobody's statement fails for it, also where Django is not told to check connections."""
    backend = ours()
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute(END, [backend])
    other.close()
    look_after_connections()
    assert ours() != backend


def test_a_plan_is_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared after a few runs; a quarter of a minute later it is another statement, with a plan of its own."""
    connection.close()
    now = 1000.0
    monkeypatch.setattr(database.time, "monotonic", lambda: now)
    for number in range(10):
        assert database.fetch(STATEMENT, [number], prepared=True) == [(number + 1,)]
    assert len(database.fetch(STATEMENTS)) == 1
    now += database.PLAN_SECONDS
    for number in range(10):
        database.fetch(STATEMENT, [number], prepared=True)
    assert len(database.fetch(STATEMENTS)) == 2


def test_nothing_is_prepared_through_a_pooler(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may give the next transaction another connection, which knows nothing of it."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    for number in range(10):
        assert database.fetch(STATEMENT, [number], prepared=True) == [(number + 1,)]
    assert database.fetch(STATEMENTS) == []


def test_nothing_is_prepared_where_the_settings_forbid_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """``prepare_threshold: None`` is what psycopg's users say of such a pooler; Django need not know of it."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "prepare_threshold", None)
    for number in range(10):
        assert database.fetch(STATEMENT, [number], prepared=True) == [(number + 1,)]
    assert database.fetch(STATEMENTS) == []


def test_other_cursors_stay_as_they_are() -> None:
    """What Django sends by itself is not prepared, however often."""
    connection.close()
    for number in range(10):
        database.fetch(STATEMENT, [number], prepared=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::int + 2", [number])
    assert database.fetch("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%+ 2%%'") == [
        (0,)
    ]


def test_a_statement_that_fails_leaves_the_cursor_to_the_next_one() -> None:
    """It is one for all of a connection's prepared statements; an error is Django's, as of any cursor."""
    connection.close()
    with pytest.raises(DataError):
        database.fetch("SELECT 1 / %s::int", [0], prepared=True)
    assert database.fetch(STATEMENT, [1], prepared=True) == [(2,)]


def test_a_new_connection_has_a_cursor_of_its_own() -> None:
    """The lost one's does not answer, and says so as Django says it."""
    database.fetch(STATEMENT, [1], prepared=True)
    connection.connection.close()
    with pytest.raises(database.DATABASE_AWAY):
        database.fetch(STATEMENT, [1], prepared=True)
    connection.close()
    assert database.fetch(STATEMENT, [1], prepared=True) == [(2,)]


def test_who_logs_statements_sees_their_values() -> None:
    """In a debugger or a test: there they are sent as Django sends its own."""
    with CaptureQueriesContext(connection) as queries:
        assert database.fetch(STATEMENT, [41], prepared=True) == [(42,)]
    assert [query["sql"] for query in queries] == ["SELECT 41::int + 1"]


def begin_and_be_interrupted() -> None:
    """As a time limit's exception between Django's beginning of a transaction and the first line of its block."""
    transaction.atomic().__enter__()
    database.execute("CREATE TEMPORARY TABLE half_done ()")


def be_closed_meanwhile() -> None:
    """The same, and the server has ended the session."""
    begin_and_be_interrupted()
    connection.close()


def stay_without_autocommit() -> None:
    """As that exception at the end of a transaction."""
    connection.set_autocommit(False)


def leave_a_statement_behind() -> None:
    """As that exception in the middle of a statement."""
    connection.ensure_connection()
    connection.connection.pgconn.send_query(b"SELECT 1")


@pytest.mark.parametrize(
    "interrupt",
    [begin_and_be_interrupted, be_closed_meanwhile, stay_without_autocommit, leave_a_statement_behind],
)
def test_what_a_time_limit_interrupted_is_not_used_again(interrupt) -> None:
    """The next task begins with a connection on which a transaction is a transaction."""
    database.fetch("SELECT 1")
    interrupt()
    KeepingWorkerFixup(current_app).close_database()
    assert not connection.in_atomic_block
    with transaction.atomic():
        backend = ours()
    assert connection.get_autocommit()
    assert database.fetch("SELECT to_regclass('half_done')") == [(None,)]
    drop_interrupted()
    assert ours() == backend  # one that is sound is kept


@pytest.mark.django_db(transaction=False)
def test_the_transaction_of_a_test_case_stays_open() -> None:
    """It is nobody's interruption."""
    begin = connection.in_atomic_block, len(connection.savepoint_ids)
    drop_interrupted()
    assert begin[0]
    assert (connection.in_atomic_block, len(connection.savepoint_ids)) == begin

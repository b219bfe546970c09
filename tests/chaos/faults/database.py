"""PostgreSQL stops, ends sessions, has no connections left."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any

import psycopg

from tests.chaos.fault import Fault
from tests.chaos.stack import Stack

EXHAUSTED = 5.0


def crash(stack: Stack) -> int:
    """An immediate stop; it comes back by recovery."""
    stack.servers.postgres.restart(mode="immediate")
    return 1


def end_sessions(stack: Stack) -> int:
    """``pg_terminate_backend`` for a random half of the platform's sessions. Returns how many were ended."""
    with psycopg.connect(stack.servers.database_url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
        pids = [pid for (pid,) in found if stack.random.random() < 0.5]
        return len(connection.execute("SELECT pg_terminate_backend(unnest(%s::int[]))", [pids]).fetchall())


def exhaust(stack: Stack) -> int:
    """Take every connection: first those that are left, then those of the platform, whose sessions are ended."""
    with ExitStack() as stacked:
        taken = _take_what_is_left(stack, stacked)
        ours = [connection.info.backend_pid for connection in taken]
        ended = taken[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND NOT pid = ANY(%s)",
            [ours],
        )
        hits = len(ended.fetchall())
        _take_what_is_left(stack, stacked)
        stack.hold(EXHAUSTED)
    return int(hits > 0)


def _take_what_is_left(stack: Stack, stacked: ExitStack) -> list[psycopg.Connection[Any]]:
    taken: list[psycopg.Connection[Any]] = []
    with suppress(psycopg.OperationalError):
        while True:
            made = psycopg.connect(stack.servers.database_url, autocommit=True, connect_timeout=5)
            taken.append(stacked.enter_context(made))
    return taken


FAULTS = [
    Fault("database-restart", "PostgreSQL stops at once and restarts", crash, times=5, pause=(3.0, 6.0)),
    Fault("database-terminate", "a stream of pg_terminate_backend", end_sessions, times=40, pause=(0.2, 0.8)),
    Fault("database-exhausted", "no connection is left for 5 s", exhaust, times=4, pause=(0.5, 1.5)),
]

"""PostgreSQL stops, ends sessions, has no connections left."""

from __future__ import annotations

from contextlib import ExitStack

import psycopg

from tests.chaos.fault import Fault
from tests.chaos.stack import Stack

EXHAUSTED = 5.0
ROOM = 500
"""More connections than the server has."""


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
    """Take every connection that is left, after those of the platform were ended. Returns how many were taken."""
    with ExitStack() as taken:
        count = 0
        try:
            for _ in range(ROOM):
                taken.enter_context(psycopg.connect(stack.servers.database_url, connect_timeout=5))
                count += 1
        except psycopg.OperationalError:
            stack.hold(EXHAUSTED)
        else:
            return 0
    return int(count > 0)


FAULTS = [
    Fault("database-restart", "PostgreSQL stops at once and restarts", crash, times=5, pause=(3.0, 6.0)),
    Fault("database-terminate", "a stream of pg_terminate_backend", end_sessions, times=40, pause=(0.2, 0.8)),
    Fault("database-exhausted", "no connection is left for 5 s", exhaust, times=4, pause=(2.0, 4.0)),
]

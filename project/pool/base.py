"""Django's PostgreSQL backend, whose pool says quickly that the database is away."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import PoolTimeout

LOOK_AGAIN_SECONDS = 0.25
"""How long to wait for a connection before looking whether one can be made at all."""
BUSY_SECONDS = 5.0
"""How long to wait for a connection where all of them are in use."""
AWAY_SECONDS = 1.0
"""For so long after a failed attempt to connect nobody waits for the next one."""
RECONNECT_SECONDS = 2.0
"""For so long the pool tries by itself, less and less often; from then on whoever needs a connection has it try."""


@dataclass(frozen=True)
class Failure:
    """An attempt to connect that failed, and none has succeeded since."""

    at: float
    reason: str


class Connection(psycopg.Connection[Any]):
    """Remembers how the last attempt of this process to connect ended."""

    failure: Failure | None = None

    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Self:
        """Connect, as psycopg does it."""
        try:
            made = super().connect(*args, **options)
        except psycopg.Error as error:
            Connection.failure = Failure(time.monotonic(), str(error).strip())
            raise
        Connection.failure = None
        return made


POOL: dict[str, Any] = {
    "connection_class": Connection,
    "timeout": LOOK_AGAIN_SECONDS,
    "reconnect_timeout": RECONNECT_SECONDS,
}
"""Options of the pool, beside its size. psycopg_pool's own wait between two attempts doubles for five minutes: the shop
would stay away for up to a minute after the database is back."""


class DatabaseWrapper(base.DatabaseWrapper):
    """A thread that needs a connection waits while all are in use, but not for a database that is known to be away.

    Not covered: a server that takes connections and then says nothing. The first to ask it wait for their
    ``connect_timeout``; those with a connection for the network's.
    """

    def get_new_connection(self, conn_params: Any) -> Any:
        """A connection of the pool.

        Raises:
            psycopg.OperationalError: the last attempt to connect failed, or all were in use for too long.
        """
        if not self.pool:  # as for making a test's database
            return super().get_new_connection(conn_params)
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            self._refuse_while_away()
            try:
                return super().get_new_connection(conn_params)
            except PoolTimeout:
                if Connection.failure is not None:
                    raise psycopg.OperationalError(Connection.failure.reason) from None
                if time.monotonic() >= deadline:
                    raise

    def _refuse_while_away(self) -> None:
        failure = Connection.failure
        if failure is None or time.monotonic() - failure.at >= AWAY_SECONDS:
            return
        has_one = self.pool.get_stats()["pool_available"]  # it may work, or tell that it does not
        if not has_one:
            raise psycopg.OperationalError(failure.reason)

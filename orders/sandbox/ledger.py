"""The ledger's file: one SQLite database, one connection, writes committed in groups."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from orders.sandbox.schema import STATEMENTS
from orders.sandbox.settings import StartupError

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

LOCK_WAIT_SECONDS = 2.0  # how long a starting sandbox waits for a stopping one to let go of the file


class Ledger:
    """Runs operations on the ledger, each in a transaction that is committed before its caller is answered.

    Operations that arrive in the same turn of the event loop share one transaction (group commit): all of
    them are durable, or none is. They run one after another, so an operation may read and then write without
    a race. An answered write survives the death of the process (SIGKILL). It may not survive a power cut: the
    log is synced at checkpoints only (``synchronous=NORMAL``), which never corrupts the file but may lose its
    last moments.

    Not thread-safe: everything happens in the event loop's thread.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[Operation[Any], asyncio.Future[Any]]] = []

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """Open or create the ledger at ``path`` and keep it locked, so that one process alone owns it.

        Raises StartupError when the file cannot be used: held by another sandbox, no permission, not a
        ledger.
        """
        try:
            path.touch(mode=0o600)  # customers' addresses are in it
            connection = sqlite3.connect(path, timeout=LOCK_WAIT_SECONDS, isolation_level=None)
            connection.row_factory = sqlite3.Row
            _prepare(connection)
        except (OSError, sqlite3.Error) as error:
            raise StartupError(f"The ledger {path} cannot be opened: {error}. {_advice(error)}") from error
        return cls(connection)

    def close(self) -> None:
        """Close the file; its log is folded into the database."""
        self._connection.close()

    def read(self, operation: Operation[T]) -> T:
        """Run an operation that only reads, at once."""
        return operation(self._connection)

    async def write(self, operation: Operation[T]) -> T:
        """Run ``operation`` in the next transaction and return its value once that is committed.

        An operation reports expected outcomes as values. If one raises, the whole group is rolled back and
        every caller in it gets the error: nothing happened, all may try again.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._commit_waiting)
        self._waiting.append((operation, done))
        return await done

    def _commit_waiting(self) -> None:
        group, self._waiting = self._waiting, []
        try:
            values = self._run_in_one_transaction([operation for operation, _ in group])
        except Exception as error:  # noqa: BLE001 - handed to every caller, who raises it
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), value in zip(group, values, strict=True):
            if not done.done():  # its caller may have gone away meanwhile
                done.set_result(value)

    def _run_in_one_transaction(self, operations: list[Operation[Any]]) -> list[Any]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            values = [operation(self._connection) for operation in operations]
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return values


def _prepare(connection: sqlite3.Connection) -> None:
    # EXCLUSIVE: a process caches the fault switches, so two processes on one file would disagree.
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("BEGIN EXCLUSIVE")
    for statement in STATEMENTS:
        connection.execute(statement)
    connection.execute("COMMIT")


def _advice(error: Exception) -> str:
    if "locked" in str(error):
        return "Another sandbox is using it: stop that one, or name another file in SANDBOX_DB."
    return "Check SANDBOX_DB: it must name a writable file that is a sandbox ledger, or does not exist yet."

"""Things that happen at the same time, each on a database connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from django.db import connection, connections

from tests.harness.waiting import wait_until

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> Future[T]:
    """Start it in a thread; the future has its result, or what it raised."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  (whoever waits for the future gets it)
            future.set_exception(error)
        finally:
            connections.close_all()

    Thread(target=run, daemon=True).start()
    return future


def wait_until_blocked(count: int = 1) -> None:
    """Wait until so many sessions wait for another one's lock."""
    wait_until(lambda: _blocked() >= count, f"{count} sessions to wait for a lock")


def _blocked() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
        )  # unlike the statistics, always fresh
        return int(cursor.fetchone()[0])

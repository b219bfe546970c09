"""The web process while the database is away, and when it is back: real processes, and a proxy that refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.db import OperationalError, connection

from project.pool.base import POOL, Connection, DatabaseWrapper
from tests.harness.processes import Platform, answers, free_port
from tests.harness.proxy import Proxy
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.postgresql

AWAY_SECONDS = 8.0
"""As long as it takes psycopg_pool's own wait between two attempts to grow to eight seconds."""
BACK_SECONDS = 5.0
"""One or two on an idle machine."""
QUICK_SECONDS = 4.0
"""Half a second on an idle machine."""
PROBE_SECONDS = 5.0
"""When compose's health check gives up."""


@pytest.fixture
def database_proxy(platform: Platform) -> Iterator[Proxy]:
    """Between a process and the database."""
    with Proxy(platform.env["DATABASE_URL"]) as proxy:
        yield proxy


@pytest.fixture
def url(platform: Platform, database_proxy: Proxy) -> str:
    """Of a web process with a pool, which has reached its database."""
    at = f"http://127.0.0.1:{free_port()}"
    platform.start_web(at, DATABASE_URL=database_proxy.url, DATABASE_POOL_SIZE="10", OUTBOX_WAKE_UP="")
    wait_until(lambda: answers(f"{at}/healthz"), "the web process to answer")
    return at


def asked(url: str) -> tuple[int, float]:
    """The status of the answer, and how long it took."""
    begin = time.monotonic()
    status = httpx.get(url, timeout=30, trust_env=False).status_code
    return status, time.monotonic() - begin


def together(count: int, ask: Callable[[], tuple[int, float]]) -> list[tuple[int, float]]:
    """What so many get who ask at the same time."""
    answers: list[tuple[int, float]] = []
    threads = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_the_shop_is_back_soon_after_its_database(url: str, database_proxy: Proxy) -> None:
    """However long it was away, and however many asked meanwhile; and meanwhile each is told quickly."""
    database_proxy.refuse()
    end = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < end:
        for status, seconds in together(8, lambda: asked(f"{url}/")):
            assert status == 503
            assert seconds < QUICK_SECONDS
        assert asked(f"{url}/healthz")[0] == 503
    database_proxy.heal()
    wait_until(lambda: asked(f"{url}/")[0] == 200, "the shop to be back", timeout=BACK_SECONDS)
    assert answers(f"{url}/healthz")


def test_a_frozen_database_does_not_freeze_the_health_check(url: str, database_proxy: Proxy) -> None:
    """It takes connections and says nothing, and all threads of the process wait for it: 503 in time for a probe."""
    database_proxy.hang()
    waiting = [threading.Thread(target=lambda: asked(f"{url}/"), daemon=True) for _ in range(8)]
    for thread in waiting:
        thread.start()
    before = database_proxy.hits
    wait_until(lambda: database_proxy.hits > before or database_proxy.connections > 3, "the threads to wait")
    status, seconds = asked(f"{url}/healthz")
    assert status == 503
    assert seconds < PROBE_SECONDS
    database_proxy.heal()
    for thread in waiting:
        thread.join(60)


@pytest.fixture
def pooled(db: None) -> Iterator[Callable[[], DatabaseWrapper]]:
    """Makes users of one pool, which has one connection."""
    made: list[DatabaseWrapper] = []
    settings: dict[str, Any] = {**connection.settings_dict, "CONN_MAX_AGE": 0}
    settings["OPTIONS"] = {**settings["OPTIONS"], "pool": {"min_size": 1, "max_size": 1, **POOL}}

    def make() -> DatabaseWrapper:
        made.append(DatabaseWrapper(settings, "pooled"))
        made[-1].inc_thread_sharing()
        return made[-1]

    yield make
    for wrapper in made:
        wrapper.close()
    made[0].close_pool()
    Connection.failure = None


def test_a_busy_pool_is_waited_for(pooled: Callable[[], DatabaseWrapper]) -> None:
    """Longer than for a database that is away: in a burst, a connection comes free."""
    first, second = pooled(), pooled()
    first.ensure_connection()
    threading.Timer(1.5, first.close).start()
    begin = time.monotonic()
    second.ensure_connection()
    assert time.monotonic() - begin > 1.0
    assert second.is_usable()


def test_what_is_there_is_used_whatever_became_of_the_last_attempt(
    pooled: Callable[[], DatabaseWrapper],
) -> None:
    """One attempt may fail, as the server has enough connections: those that are there work."""
    first, second = pooled(), pooled()
    first.ensure_connection()
    with pytest.raises(OperationalError), first.wrap_database_errors:
        Connection.connect("host=127.0.0.1 port=1 dbname=nothing")
    begin = time.monotonic()
    with pytest.raises(OperationalError, match="port 1 failed"):
        second.ensure_connection()
    assert time.monotonic() - begin < 1.0
    first.close()
    second.ensure_connection()
    assert second.is_usable()

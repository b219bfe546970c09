"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection
from hypothesis import HealthCheck, settings

from tests.harness.emptying import Emptying
from tests.harness.processes import Platform

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # the time that an example takes says how busy the machine is, and nothing else

STACKS = (
    "tests/acceptance/",
    "tests/browser/",
    "tests/chaos/",
    "tests/integration/outbox/drop_in/",
    "tests/integration/outbox/test_portability.py",
    "tests/integration/stack/",
)
"""Where tests start processes of their own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts processes: ``script/test`` runs it after the rest."""
    for item in items:
        if item.nodeid.startswith(STACKS) or "platform" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.processes)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Says which tests may run side by side."""
    from tests.harness.side_by_side import SideBySide

    return SideBySide(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """What a test has logged reaches the process that prints it, also where it is no valid text."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report  # type: ignore[return-value]  # as a wrapper does


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Emptying | None:
    """The test database, which is emptied quickly between tests where it is PostgreSQL."""
    if connection.vendor != "postgresql":
        return None
    with django_db_blocker.unblock():
        emptying = Emptying("default")
    emptying.install()
    return emptying


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The real broker, emptied before the test."""
    client = redis.Redis.from_url(os.environ["BROKER_URL"])
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def platform(transactional_db: None, broker: redis.Redis, tmp_path: Path) -> Iterator[Platform]:
    """Starts real processes; they end with the test."""
    made = Platform(tmp_path)
    yield made
    made.stop()

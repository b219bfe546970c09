"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.harness.processes import Platform


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

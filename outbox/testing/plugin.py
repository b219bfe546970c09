"""A pytest plugin: ``pytest_plugins = ["outbox.testing.plugin"]`` in a ``conftest.py``."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from outbox import testing


@pytest.fixture
def outbox(db: None, settings: Any) -> ModuleType:  # noqa: ARG001  (a fixture that has to come first)
    """:mod:`outbox.testing`, with the database, and without wake-ups: what the test commits wakes nobody."""
    settings.OUTBOX = {**getattr(settings, "OUTBOX", {}), "WAKE_UP": ()}
    return testing

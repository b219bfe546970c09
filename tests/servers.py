"""A pytest plugin, loaded before Django's settings: real servers of this run's own, and the environment for them."""

from __future__ import annotations

import atexit
import os
import secrets
from contextlib import ExitStack
from pathlib import Path

import pytest

from project.stack.guard import Guard
from project.stack.runs import Run
from project.stack.servers import EmbeddedServers, embedded_servers

_running = ExitStack()
atexit.register(_running.close)  # also when pytest ends before its tests have begun
SERVERS: EmbeddedServers = _running.enter_context(embedded_servers())
_run = Run.new(Path("tests"))
_running.enter_context(Guard(_run))  # when the tests are killed, it ends the processes that they have started

os.environ.update(
    _run.environment(),
    DJANGO_SETTINGS_MODULE="project.settings",
    DATABASE_URL=SERVERS.database_url,
    BROKER_URL=SERVERS.broker_url,
    DEBUG="1",
    SECRET_KEY=secrets.token_urlsafe(64),
    SANDBOX_URL="http://127.0.0.1:9",  # nobody listens there: a test that needs the sandbox starts one
    SANDBOX_TOKEN="",
    FLOWER_URL="",
    EMAIL_URL="memorymail://",
    OUTBOX_WAKE_UP="",
)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers when all tests are done."""
    _running.close()

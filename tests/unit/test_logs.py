"""Log lines."""

from __future__ import annotations

import logging

import pytest

from project.logs import Routine


@pytest.mark.parametrize(
    ("name", "level", "message", "shown"),
    [
        ("celery.beat", logging.INFO, "Sending due task dispatch (outbox.dispatch)", False),
        ("celery.app.trace", logging.INFO, "Task outbox.saga.sweep[1] succeeded", False),
        ("celery.app.trace", logging.ERROR, "Task outbox.dispatch[1] raised", True),
        ("celery.app.trace", logging.INFO, "Task orders.payment.charge[1] succeeded", True),
        ("celery.worker.strategy", logging.INFO, "Task orders.payment.charge[1] received", False),
        ("celery.worker.strategy", logging.WARNING, "Task orders.payment.charge[1] is unknown", True),
        ("celery.beat", logging.INFO, "beat: Starting...", True),
        ("outbox.relay", logging.INFO, "outbox.dispatch", True),
    ],
)
def test_only_routine_is_left_out(name: str, level: int, message: str, shown: bool) -> None:
    """That a task came and what happens every few seconds is not shown; errors and all else are."""
    record = logging.LogRecord(name, level, "", 0, message, None, None)
    assert Routine().filter(record) is shown

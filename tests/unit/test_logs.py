"""Log lines."""

from __future__ import annotations

import logging

import pytest

from project.logs import PeriodicTasks


@pytest.mark.parametrize(
    ("name", "level", "message", "shown"),
    [
        ("celery.beat", logging.INFO, "Sending due task dispatch (outbox.dispatch)", False),
        ("celery.app.trace", logging.INFO, "Task outbox.saga.sweep[1] succeeded", False),
        ("celery.app.trace", logging.ERROR, "Task outbox.dispatch[1] raised", True),
        ("celery.app.trace", logging.INFO, "Task orders.payment.charge[1] succeeded", True),
        ("celery.beat", logging.INFO, "beat: Starting...", True),
        ("outbox.relay", logging.INFO, "outbox.dispatch", True),
    ],
)
def test_only_the_periodic_tasks_routine_is_left_out(
    name: str, level: int, message: str, shown: bool
) -> None:
    """What says every few seconds that nothing happened is not shown; errors and all else are."""
    record = logging.LogRecord(name, level, "", 0, message, None, None)
    assert PeriodicTasks().filter(record) is shown

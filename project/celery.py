"""The Celery application. Its settings, each with its reason, are the ``CELERY_`` ones of the settings."""

from __future__ import annotations

import os
from typing import Any

from celery.signals import setup_logging, worker_init

from outbox.application import DurableCelery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

RESULTS_READ_WITHIN = 5.0
"""Seconds that a child of a worker waits, at its end, until the main process has read all that it sent."""

app = DurableCelery("todoke")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]
def leave_logging_alone(**_: object) -> None:
    """Logging is configured by the settings; a connected receiver keeps Celery from configuring it again."""


@worker_init.connect  # type: ignore[untyped-decorator]
def let_children_end(**_: Any) -> None:
    """Have a worker that is told to stop do so soon.

    Its main process may have forgotten a task that a child has just been given, and then reads no more: the child would
    wait for half a minute, and then end as it does now. Its work is done and committed by then.
    """
    from billiard import pool  # what only workers need

    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = int(
        RESULTS_READ_WITHIN / pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL
    )

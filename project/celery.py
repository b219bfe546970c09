"""The Celery application. Its settings, each with its reason, are the ``CELERY_`` ones of the settings."""

from __future__ import annotations

import os

from celery.signals import setup_logging

from outbox.application import DurableCelery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = DurableCelery("todoke")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]
def leave_logging_alone(**_: object) -> None:
    """Logging is configured by the settings; a connected receiver keeps Celery from configuring it again."""

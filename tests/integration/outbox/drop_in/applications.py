"""The two applications. They differ in their class, and in the queue that keeps their workers apart."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from celery import Celery

from outbox.application import DurableCelery
from tests.integration.outbox.drop_in.work import register


def make(cls: type[Celery], name: str) -> Celery:
    """An application with all tasks of the test project, and the settings of this one."""
    app = cls(name, set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.task_default_queue = name
    register(app)
    return app


plain = make(Celery, "plain")
durable = make(DurableCelery, "durable")

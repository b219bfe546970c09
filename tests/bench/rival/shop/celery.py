"""The Celery application, through the rival's class."""

from __future__ import annotations

import os

from django_celery_outbox import OutboxCelery

app = OutboxCelery("rival", broker=os.environ["BROKER_URL"])
app.conf.task_routes = {"bench.*": {"queue": "bench"}}
app.autodiscover_tasks(["shop"])

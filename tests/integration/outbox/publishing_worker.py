"""The project's worker with a task that publishes, for a queue that nobody works on."""

from __future__ import annotations

from celery import shared_task
from django.db import transaction

from project.celery import app  # noqa: F401  (what Celery runs)


@shared_task(name="sample.left_behind")
def left_behind() -> None:
    """Never runs."""


@shared_task(name="sample.publish_more")
def publish_more() -> None:
    """Ends right after its commit."""
    with transaction.atomic():
        left_behind.apply_async(queue="elsewhere")

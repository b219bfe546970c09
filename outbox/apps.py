"""The platform as a Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class OutboxConfig(AppConfig):
    """Finds every application's events, tasks and consumers, so that all processes know the same handlers."""

    name = "outbox"
    verbose_name = _("Outbox")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from outbox import checks, storage_checks  # noqa: F401  (registers the system checks)

        autodiscover_modules("events", "tasks", "consumers")

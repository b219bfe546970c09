"""Sagas as a Django application, on top of the outbox."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class SagaConfig(AppConfig):
    """Adds the saga tables, and finds every application's definitions, so that all processes know the same ones."""

    name = "outbox.saga"
    label = "saga"
    verbose_name = _("Sagas")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from outbox.saga import audit, checks  # noqa: F401  (they register what they check)

        autodiscover_modules("sagas")

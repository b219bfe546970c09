"""Sagas as a Django application, on top of the outbox."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SagaConfig(AppConfig):
    """Adds the saga tables. Applications register their definitions when they are ready."""

    name = "outbox.saga"
    label = "saga"
    verbose_name = _("Sagas")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from outbox.saga import audit  # noqa: F401  (registers its checks)

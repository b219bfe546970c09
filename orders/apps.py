"""The shop as a Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OrdersConfig(AppConfig):
    """Registers the fulfilment saga in every process."""

    name = "orders"
    verbose_name = _("Orders")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from orders import audit, checks, fulfilment, retention  # noqa: F401  (they register themselves)
        from orders.web import baskets  # noqa: F401  (it, too)

"""What the shop sold, by day: a read model, kept by a subscriber of the events."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class DailySales(models.Model):
    """Orders shipped and their revenue, for one day and currency."""

    day = models.DateField(_("day"))
    currency = models.CharField(_("currency"), max_length=3)
    orders = models.PositiveIntegerField(_("orders shipped"), default=0)
    revenue = models.DecimalField(_("revenue"), max_digits=14, decimal_places=2, default=0)

    class Meta:
        verbose_name = _("daily sales")
        verbose_name_plural = _("daily sales")
        ordering: ClassVar = ["-day", "currency"]
        constraints: ClassVar = [
            models.UniqueConstraint("day", "currency", name="daily_sales_once"),
            models.CheckConstraint(condition=Q(revenue__gte=0), name="daily_sales_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.currency}"

"""Daily sales: seen only, because a subscriber of the events keeps them."""

from __future__ import annotations

from django.contrib import admin

from orders.models import DailySales
from outbox.admin.base import ConsoleAdmin, ReadOnlyMixin


@admin.register(DailySales)
class DailySalesAdmin(ReadOnlyMixin, ConsoleAdmin):
    """What was shipped, by day and currency."""

    list_display = ("day", "currency", "orders", "revenue")
    list_filter = ("currency",)

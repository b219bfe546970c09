"""What customers have chosen and not ordered yet."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from orders.models.catalogue import Product


class BasketItem(models.Model):
    """So many of one product in a customer's basket. Nothing is promised by it: neither stock nor price.

    Somebody who is not signed in has a basket in the session instead.
    """

    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("customer"), on_delete=models.CASCADE, related_name="+"
    )
    product = models.ForeignKey(
        Product, verbose_name=_("product"), on_delete=models.CASCADE, related_name="+"
    )
    quantity = models.PositiveIntegerField(_("quantity"))

    class Meta:
        verbose_name = _("basket item")
        verbose_name_plural = _("basket items")
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["customer", "product"], name="basket_item_once_per_product"
            ),  # named columns, not expressions: the upsert infers it
            models.CheckConstraint(condition=Q(quantity__gt=0), name="basket_item_quantity_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product}"

"""What is for sale, and how much of it there is."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7


class Product(models.Model):
    """Something for sale. Its words may be there in Japanese, too; where they are not, the others are shown."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    sku = models.CharField("SKU", max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=120)
    description = models.TextField(_("description"), blank=True)
    name_ja = models.CharField(_("name (Japanese)"), max_length=120, blank=True, default="")
    description_ja = models.TextField(_("description (Japanese)"), blank=True, default="")
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, default="EUR")
    is_active = models.BooleanField(_("for sale"), default=True)

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(price__gt=0), name="product_price_positive"),
            models.CheckConstraint(condition=Q(currency__regex="^[A-Z]{3}$"), name="product_currency_code"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def local_name(self) -> str:
        """The name in the language that is active."""
        return (self.name_ja if _in_japanese() else "") or self.name

    @property
    def local_description(self) -> str:
        """The description in the language that is active."""
        return (self.description_ja if _in_japanese() else "") or self.description


class Stock(models.Model):
    """How many there are, and how many of these are promised to orders."""

    product = models.OneToOneField(
        Product, verbose_name=_("product"), on_delete=models.CASCADE, primary_key=True, related_name="stock"
    )
    on_hand = models.PositiveIntegerField(_("on hand"), default=0)
    reserved = models.PositiveIntegerField(_("reserved"), default=0)

    class Meta:
        verbose_name = _("stock")
        verbose_name_plural = _("stock")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(on_hand__gte=0), name="stock_on_hand_not_negative"),
            models.CheckConstraint(
                condition=Q(reserved__gte=0, reserved__lte=F("on_hand")), name="stock_reserved_within_on_hand"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.available} of {self.product_id}"

    @property
    def available(self) -> int:
        """What can still be ordered."""
        return self.on_hand - self.reserved


def _in_japanese() -> bool:
    return (get_language() or "").startswith("ja")

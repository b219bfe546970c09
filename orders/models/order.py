"""Orders and their lines."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from uuid_utils.compat import uuid7

from orders.models.catalogue import Product


class Order(models.Model):
    """What a customer ordered, and how far its fulfilment is.

    ``version`` counts the status changes; each is conditional on the status that it leaves.
    """

    class Status(models.TextChoices):
        PLACED = "placed", _("Placed")
        RESERVED = "reserved", _("Reserved")
        PAID = "paid", _("Paid")
        SHIPPED = "shipped", _("Shipped")
        CANCELLING = "cancelling", _("Being cancelled")
        CANCELLED = "cancelled", pgettext_lazy("order", "Cancelled")
        NEEDS_ATTENTION = "needs_attention", _("Needs attention")

    ENDED = (Status.SHIPPED, Status.CANCELLED)
    CANCELLABLE = (Status.PLACED, Status.RESERVED, Status.PAID)

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("customer"),
        on_delete=models.PROTECT,
        related_name="orders",
        db_index=False,  # that of the order list begins with it
    )
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.PLACED)
    version = models.PositiveIntegerField(_("version"), default=1)
    total = models.DecimalField(_("total"), max_digits=12, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3)
    card = models.CharField(
        _("card"), max_length=64, help_text="The payment provider's token; never a card number."
    )
    recipient = models.CharField(_("recipient"), max_length=120)
    address = models.CharField(_("address"), max_length=200)
    postcode = models.CharField(_("postcode"), max_length=16)
    city = models.CharField(_("city"), max_length=80)
    country = models.CharField(_("country"), max_length=2)
    language = models.CharField(
        _("language"), max_length=10, default="en", help_text="Of the letters about it."
    )
    reason = models.TextField(
        _("reason"), blank=True, default="", help_text="Why it was cancelled, or needs attention."
    )
    placed_at = models.DateTimeField(_("placed at"), db_default=Now())
    ended_at = models.DateTimeField(_("ended at"), null=True, editable=False)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index("customer", F("id").desc(), name="order_of_customer")]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(total__gt=0), name="order_total_positive"),
            models.CheckConstraint(condition=Q(currency__regex="^[A-Z]{3}$"), name="order_currency_code"),
            models.CheckConstraint(
                condition=Q(status__in=["shipped", "cancelled"], ended_at__isnull=False)
                | Q(
                    status__in=["placed", "reserved", "paid", "cancelling", "needs_attention"], ended_at=None
                ),
                name="order_ended_has_time",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        """What people call the order: the random end of its id."""
        return f"{self.id.hex[-8:-4]}-{self.id.hex[-4:]}".upper()


class OrderLine(models.Model):
    """So many of one product, at the price of that moment."""

    order = models.ForeignKey(
        Order,
        verbose_name=_("order"),
        on_delete=models.CASCADE,
        related_name="lines",
        db_index=False,  # its constraint's index begins with it
    )
    product = models.ForeignKey(Product, verbose_name=_("product"), on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField(_("quantity"))
    unit_price = models.DecimalField(_("unit price"), max_digits=10, decimal_places=2)

    class Meta:
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint("order", "product", name="order_line_once_per_product"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_line_quantity_positive"),
            models.CheckConstraint(condition=Q(unit_price__gt=0), name="order_line_price_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product}"

"""What was done for an order: reservations, payments, shipments. Kept when undone, with the undone state."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from uuid_utils.compat import uuid7

from orders.models.catalogue import Product
from orders.models.order import Order


class Reservation(models.Model):
    """Stock promised to an order."""

    class Status(models.TextChoices):
        RESERVED = "reserved", _("Reserved")
        RELEASED = "released", _("Released")
        SHIPPED = "shipped", _("Shipped")

    order = models.ForeignKey(
        Order,
        verbose_name=_("order"),
        on_delete=models.CASCADE,
        related_name="reservations",
        db_index=False,  # its constraint's index begins with it
    )
    product = models.ForeignKey(Product, verbose_name=_("product"), on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField(_("quantity"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.RESERVED)

    class Meta:
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")
        constraints: ClassVar = [
            models.UniqueConstraint("order", "product", name="reservation_once_per_product"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="reservation_quantity_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product} ({self.status})"


class Payment(models.Model):
    """Money taken for an order."""

    class Status(models.TextChoices):
        CHARGED = "charged", _("Charged")
        REFUNDED = "refunded", _("Refunded")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    order = models.ForeignKey(
        Order, verbose_name=_("order"), on_delete=models.CASCADE, related_name="payments"
    )
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.CHARGED)
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3)
    provider_id = models.CharField(_("provider id"), max_length=80)
    idempotency_key = models.CharField(_("idempotency key"), max_length=200, unique=True)
    charged_at = models.DateTimeField(_("charged at"), db_default=Now())
    refunded_at = models.DateTimeField(_("refunded at"), null=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints: ClassVar = [
            models.UniqueConstraint(
                "order", condition=Q(status="charged"), name="payment_one_live_per_order"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_amount_positive"),
            models.CheckConstraint(
                condition=Q(status="charged", refunded_at=None)
                | Q(status="refunded", refunded_at__isnull=False),
                name="payment_refunded_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} ({self.status})"


class Shipment(models.Model):
    """A parcel on its way."""

    class Status(models.TextChoices):
        CREATED = "created", _("Created")
        CANCELLED = "cancelled", pgettext_lazy("order", "Cancelled")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    order = models.ForeignKey(
        Order, verbose_name=_("order"), on_delete=models.CASCADE, related_name="shipments"
    )
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.CREATED)
    carrier_id = models.CharField(_("carrier id"), max_length=80)
    tracking_number = models.CharField(_("tracking number"), max_length=80)
    idempotency_key = models.CharField(_("idempotency key"), max_length=200, unique=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True)

    class Meta:
        verbose_name = _("shipment")
        verbose_name_plural = _("shipments")
        constraints: ClassVar = [
            models.UniqueConstraint(
                "order", condition=Q(status="created"), name="shipment_one_live_per_order"
            ),
            models.CheckConstraint(
                condition=Q(status="created", cancelled_at=None)
                | Q(status="cancelled", cancelled_at__isnull=False),
                name="shipment_cancelled_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tracking_number} ({self.status})"

"""The parts of an order's page below its fields."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from orders.admin.states import status_label
from orders.models import Order, Product
from orders.services.placing import SAGA
from outbox.admin.message_sections import related_messages
from outbox.admin.rendering import Section, anchor, code, moment, table
from outbox.saga.admin.sections import steps
from outbox.saga.models import Saga


def sections_of(request: HttpRequest, order: Order) -> Iterator[Section]:
    """Lines; the saga's steps; reservations, payments and shipments; messages."""
    yield _lines(request, order)
    if request.user.has_perm("saga.view_saga"):
        for saga in Saga.objects.filter(definition=SAGA, key=str(order.pk)):
            yield steps(request, saga)._replace(title=_("Fulfilment"))
    yield _reservations(request, order)
    yield _payments(order)
    yield _shipments(order)
    if request.user.has_perm("outbox.view_message"):
        yield related_messages(str(order.pk))


def _lines(request: HttpRequest, order: Order) -> Section:
    rows = [
        (
            _product(request, line.product),
            line.quantity,
            f"{line.unit_price} {order.currency}",
            f"{line.unit_price * line.quantity} {order.currency}",
        )
        for line in order.lines.select_related("product")
    ]
    headers = (_("Product"), _("Quantity"), _("Unit price"), _("Price"))
    return Section(_("Lines"), table(headers, rows, empty=_("It has no lines.")))


def _reservations(request: HttpRequest, order: Order) -> Section:
    rows = [
        (_product(request, reservation.product), reservation.quantity, status_label(reservation))
        for reservation in order.reservations.select_related("product").order_by("pk")
    ]
    headers = (_("Product"), _("Quantity"), _("State"))
    return Section(_("Reservations"), table(headers, rows, empty=_("No stock was reserved.")))


def _payments(order: Order) -> Section:
    rows = [
        (
            code(payment.provider_id),
            f"{payment.amount} {payment.currency}",
            status_label(payment),
            moment(payment.charged_at),
            moment(payment.refunded_at),
            code(payment.idempotency_key),
        )
        for payment in order.payments.order_by("pk")
    ]
    headers = (
        pgettext("service", "Payment"),
        _("Amount"),
        _("State"),
        _("Charged"),
        _("Refunded"),
        _("Idempotency key"),
    )
    return Section(_("Payments"), table(headers, rows, empty=_("No money was taken.")))


def _shipments(order: Order) -> Section:
    rows = [
        (
            code(shipment.tracking_number),
            status_label(shipment),
            moment(shipment.created_at),
            moment(shipment.cancelled_at),
            code(shipment.idempotency_key),
        )
        for shipment in order.shipments.order_by("pk")
    ]
    headers = (
        _("Tracking number"),
        _("State"),
        _("Created"),
        pgettext("order", "Cancelled"),
        _("Idempotency key"),
    )
    return Section(_("Shipments"), table(headers, rows, empty=_("Nothing was shipped.")))


def _product(request: HttpRequest, product: Product) -> str:
    """Its name, a link for who may see the catalogue."""
    if not request.user.has_perm("orders.view_product"):
        return str(product)
    return anchor(reverse("admin:orders_product_change", args=[product.pk]), str(product))

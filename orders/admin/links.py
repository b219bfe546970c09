"""What messages and sagas link to here: their order."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from orders.models import Order
from outbox.admin.links import Link, correlation_links


@correlation_links
def order_of(request: HttpRequest, correlation_id: str) -> Iterator[Link]:
    """The order of that id."""
    try:
        id_ = UUID(correlation_id)
    except ValueError:
        return
    if request.user.has_perm("orders.view_order"):
        for order in Order.objects.filter(pk=id_).only("id"):
            text = _("Order %(number)s") % {"number": order.number}
            yield Link(reverse("admin:orders_order_change", args=[order.pk]), text)

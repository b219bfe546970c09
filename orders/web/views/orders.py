"""A customer's orders: the list, and the page of one."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from orders import queries
from orders.exceptions import CannotCancel
from orders.models import Order
from orders.services.cancelling import cancel_order
from orders.web.access import CustomerRequest, signed_in
from orders.web.story import news_of, page_of
from orders.web.wording import GROUPS, tell

PAGE_SIZE = 20


@signed_in
@require_safe
def order_list(request: CustomerRequest) -> HttpResponse:
    """The customer's orders, newest first; those of one group by ``?show=``."""
    cursor, shown = request.GET.get("cursor", ""), request.GET.get("show", "")
    if shown and shown not in GROUPS:
        raise Http404(_("There is no such list of orders."))
    statuses = GROUPS[shown].statuses if shown else ()
    try:
        page = queries.orders_of(request.user, cursor=cursor, limit=PAGE_SIZE, statuses=statuses)
    except queries.InvalidCursor as error:
        raise Http404(str(error)) from None
    rows = [(order, tell(order)) for order in page.orders]
    context = {"rows": rows, "cursor": cursor, "next_cursor": page.next_cursor, "shown": shown}
    return render(request, "orders/order_list.html", context | {"groups": GROUPS})


@signed_in
@require_safe
def order_page(request: CustomerRequest, order_id: UUID) -> HttpResponse:
    """One order, and how far it is."""
    return render(request, "orders/order.html", page_of(_order(request, order_id)))


@signed_in
@require_safe
def order_progress(request: CustomerRequest, order_id: UUID) -> HttpResponse:
    """The part of the order's page that changes, for polling; 204 when it is as ``?seen=`` says."""
    news = news_of(_order(request, order_id))
    return HttpResponse(status=204) if request.GET.get("seen") == news.mark else HttpResponse(news.html)


@signed_in
@require_POST
def cancel(request: CustomerRequest, order_id: UUID) -> HttpResponse:
    """Call the order off, while that is possible."""
    order = _order(request, order_id)
    try:
        cancel_order(order, request.user)
    except CannotCancel as error:
        messages.warning(request, error.public_reason)
    else:
        messages.success(request, _("You cancelled this order. What was done for it is undone now."))
    return redirect("orders:order", order_id=order.id)


def _order(request: CustomerRequest, order_id: UUID) -> Order:
    try:
        return queries.order_of(request.user, order_id)
    except Order.DoesNotExist:
        raise Http404(_("You have no such order.")) from None

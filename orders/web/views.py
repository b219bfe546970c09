"""The shop's pages. They read, call a service, and show what came of it."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orders import queries
from orders.exceptions import CannotCancel, InvalidOrder
from orders.models import Order
from orders.progress import progress_of
from orders.services.cancelling import cancel_order
from orders.services.idempotency import Answer, KeyReused, answer_once
from orders.services.placing import place_order
from orders.web.access import CustomerRequest, signed_in
from orders.web.forms import OrderForm
from orders.web.wording import story_of, tell

PAGE_SIZE = 20


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def catalogue(request: CustomerRequest) -> HttpResponse:
    """What is for sale, and the form to order it. Sending the same form twice makes one order."""
    products = list(queries.products_for_sale())
    if request.method != "POST":
        form = OrderForm(products, delivery=queries.last_delivery(request.user))
        return render(request, "orders/catalogue.html", {"form": form})
    form = OrderForm(products, request.POST)
    if form.is_valid() and (address := _place(request, form)):
        return redirect(address)
    return render(request, "orders/catalogue.html", {"form": form}, status=422)


@signed_in
@require_safe
def order_list(request: CustomerRequest) -> HttpResponse:
    """The customer's orders, newest first."""
    cursor = request.GET.get("cursor", "")
    try:
        page = queries.orders_of(request.user, cursor=cursor, limit=PAGE_SIZE)
    except queries.InvalidCursor as error:
        raise Http404(str(error)) from None
    rows = [(order, tell(order)) for order in page.orders]
    context = {"rows": rows, "cursor": cursor, "next_cursor": page.next_cursor}
    return render(request, "orders/order_list.html", context)


@signed_in
@require_safe
def order_page(request: CustomerRequest, order_id: UUID) -> HttpResponse:
    """One order, and how far it is."""
    order = _order(request, order_id)
    return render(request, "orders/order.html", _story(order))


@signed_in
@require_safe
def order_progress(request: CustomerRequest, order_id: UUID) -> HttpResponse:
    """The part of the order's page that changes, for htmx; 204 when it is as ``?seen=`` says."""
    story = _story(_order(request, order_id))
    if request.GET.get("seen") == story["digest"]:
        return HttpResponse(status=204)
    return render(request, "orders/_progress_update.html", story)


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


def _place(request: CustomerRequest, form: OrderForm) -> str | None:
    """Place the order and return its page's address; ``None`` when the form must be shown again."""

    def act() -> Answer:
        order = place_order(request.user, form.quantities, form.delivery, form.cleaned_data["card"])
        return Answer(302, {"id": str(order.id)}, reverse("orders:order", args=[order.id]))

    try:
        return answer_once(request.user, form.idempotency_key, form.payload, act, wait=True).location
    except InvalidOrder as error:
        form.refuse(error)
    except KeyReused:
        form.renew(_("You have already ordered with this form. To place one more order, send it again."))
    return None


def _story(order: Order) -> dict[str, Any]:
    """What the order's page tells. ``digest`` stands for the part that changes."""
    progress = progress_of(order)
    context = {
        "order": order,
        "progress": progress,
        "story": story_of(order, progress),
        "tracking_number": queries.tracking_number(order),
    }
    html = render_to_string("orders/_progress.html", context)
    return context | {"progress_html": html, "digest": hashlib.sha256(html.encode()).hexdigest()[:16]}

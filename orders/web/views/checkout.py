"""Checking out: one page, one form, one order."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from orders import queries
from orders.baskets import Contents, contents_of
from orders.exceptions import InvalidOrder
from orders.services.basket import CustomerBasket
from orders.services.checking_out import BasketChanged, check_out
from orders.services.idempotency import Answer, KeyReused, answer_once
from orders.web.access import CustomerRequest, signed_in
from orders.web.forms import CheckoutForm


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: CustomerRequest) -> HttpResponse:
    """The form, with what is ordered next to it. Sending the same form twice makes one order."""
    if request.method != "POST":
        contents = _contents(request)
        if not contents.lines or contents.in_trouble:
            return redirect("orders:basket")
        delivery = queries.last_delivery(request.user)
        return _show(request, CheckoutForm(seen=contents.fingerprint, delivery=delivery), contents)
    form = CheckoutForm(request.POST)
    if form.is_valid() and (address := _order(request, form)):
        return redirect(address)
    contents = _contents(request)
    if not contents.lines:
        messages.warning(request, _("Nothing was ordered: your basket is empty."))
        return redirect("orders:basket")
    return _show(request, form, contents, status=422)


def _order(request: CustomerRequest, form: CheckoutForm) -> str | None:
    """Place the order and return its page's address; ``None`` when the form must be shown again."""

    def act() -> Answer:
        placed = check_out(request.user, form.cleaned_data["seen"], form.delivery, form.cleaned_data["card"])
        return Answer(302, {"id": str(placed.id)}, reverse("orders:order", args=[placed.id]))

    try:
        return answer_once(request.user, form.idempotency_key, form.payload, act, wait=True).location
    except InvalidOrder as error:
        _refuse(form, error)
    except BasketChanged:
        changed = _("Your basket has changed. Nothing was ordered yet: please look at it again.")
        form.renew(changed, seen=_contents(request).fingerprint)
    except KeyReused:
        again = _("You have already ordered with this form. To place one more order, send it again.")
        form.renew(again, seen=_contents(request).fingerprint)
    return None


def _refuse(form: CheckoutForm, error: InvalidOrder) -> None:
    """Show what the service found wrong, next to the fields."""
    for name, message in error.errors.items():
        form.add_error(name if name in form.fields else None, message)


def _contents(request: CustomerRequest) -> Contents:
    return contents_of(CustomerBasket(request.user).quantities())


def _show(
    request: CustomerRequest, form: CheckoutForm, contents: Contents, *, status: int = 200
) -> HttpResponse:
    return render(request, "orders/checkout.html", {"form": form, "contents": contents}, status=status)

"""The basket: put in, change, take out."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from orders import queries
from orders.baskets import contents_of
from orders.models import Product
from orders.web.access import by_htmx
from orders.web.baskets import basket_of
from orders.web.forms import QuantityForm


@require_safe
def basket(request: HttpRequest) -> HttpResponse:
    """What is in it, with today's prices and stock."""
    return _show(request)


@require_POST
def add(request: HttpRequest, product_id: UUID) -> HttpResponse:
    """Put some of a product in, as far as there is stock. Answers htmx with what has changed on the page."""
    try:
        product = queries.products_for_sale().get(pk=product_id)
    except Product.DoesNotExist:
        raise Http404(_("This is not for sale any more.")) from None
    form, held = QuantityForm(request.POST), basket_of(request).quantities().get(product_id, 0)
    trouble = _trouble(form, product, held)
    if not trouble:
        basket_of(request).add(product, form.cleaned_data["quantity"])
        held = basket_of(request).quantities()[product_id]
    said = trouble or _("%(product)s is in your basket.") % {"product": product.local_name}
    if by_htmx(request):
        context = {
            "product": product,
            "held": held,
            "said": said,
            "tone": "warning" if trouble else "success",
        }
        return render(request, "orders/_added.html", context)
    messages.add_message(request, messages.WARNING if trouble else messages.SUCCESS, said)
    return redirect(_back(request))


@require_POST
def change(request: HttpRequest, product_id: UUID) -> HttpResponse:
    """Another quantity; 0 takes the product out. Answers htmx with the part that has changed."""
    form = QuantityForm(request.POST)
    if not form.is_valid():
        return _show(request, wrong={product_id: form}, status=422)
    basket_of(request).put(product_id, form.cleaned_data["quantity"])
    return _show(request) if by_htmx(request) else redirect("orders:basket")


def _show(
    request: HttpRequest, *, wrong: dict[UUID, QuantityForm] | None = None, status: int = 200
) -> HttpResponse:
    contents = contents_of(basket_of(request).quantities())
    rows = [(line, (wrong or {}).get(line.product.pk)) for line in contents.lines]
    template = "orders/_basket_update.html" if by_htmx(request) else "orders/basket.html"
    return render(request, template, {"contents": contents, "rows": rows}, status=status)


def _trouble(form: QuantityForm, product: Product, held: int) -> str:
    """Why it cannot be put in; empty when it can. A courtesy: the order's first step decides."""
    if not form.is_valid():
        return str(form.errors["quantity"][0])
    left, name = queries.available(product), product.local_name
    if not left:
        return _("%(product)s is sold out.") % {"product": name}
    if form.cleaned_data["quantity"] < 1:
        return _("Please enter 1 or more.")
    if held + form.cleaned_data["quantity"] > left:
        message = ngettext(
            "There is only %(left)s of %(product)s left.",
            "There are only %(left)s of %(product)s left.",
            left,
        ) % {"left": left, "product": name}
        in_basket = _("%(held)s are in your basket already.") % {"held": held} if held else ""
        return f"{message} {in_basket}".strip()
    return ""


def _back(request: HttpRequest) -> str:
    """Where the form was, on this site."""
    wanted = request.POST.get("next", "")
    here = {request.get_host()}
    safe = url_has_allowed_host_and_scheme(wanted, here, require_https=request.is_secure())
    return wanted if safe else "orders:catalogue"

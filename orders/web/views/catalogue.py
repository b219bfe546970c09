"""What is for sale."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orders import queries
from orders.models import Product
from orders.services.placing import MOST_OF_ONE
from orders.web.baskets import basket_of
from orders.web.forms import SearchForm

PAGE_SIZE = 24


@dataclass(frozen=True)
class Offer:
    """A product, how many can be had, and how many are in the basket."""

    product: Product
    available: int
    held: int

    @property
    def most(self) -> int:
        """How many can be put into the basket at once."""
        return min(self.available, MOST_OF_ONE)


@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    """What is for sale, for everybody; searched by ``?q=`` and ``?in_stock=``."""
    form = SearchForm(request.GET)
    products = Product.objects.none()
    if form.is_valid():
        products = queries.products_for_sale(form.cleaned_data["q"], in_stock=form.cleaned_data["in_stock"])
    page = Paginator(products, PAGE_SIZE).get_page(request.GET.get("page"))
    held = basket_of(request).quantities()
    offers = [Offer(p, queries.available(p), held.get(p.pk, 0)) for p in page]
    searched = any(request.GET.get(name) for name in form.fields)
    return render(
        request,
        "orders/catalogue.html",
        {"form": form, "page": page, "offers": offers, "searched": searched},
    )

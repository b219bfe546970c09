"""Orders for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser

from orders.models import Order, Product, Stock
from orders.services.placing import place_order
from orders.services.records import Delivery
from tests.harness.waiting import wait_until

BERLIN = Delivery("Ada Example", "Unter den Linden 1", "10117", "Berlin", "DE")
NOWHERE = Delivery("Ada Example", "Far Away 1", "00001", "Nowhere", "DE")
GOOD_CARD = "tok_visa"
BAD_CARD = "tok_declined"


def customer(name: str = "ada") -> AbstractUser:
    """A customer account."""
    user, _ = get_user_model().objects.get_or_create(username=name, defaults={"email": f"{name}@example.org"})
    return user  # type: ignore[return-value]  # the project's user model is Django's own


def product(sku: str = "TEA", *, on_hand: int = 1000, price: str = "4.50") -> Product:
    """A product with stock."""
    made, _ = Product.objects.get_or_create(sku=sku, defaults={"name": sku.title(), "price": price})
    Stock.objects.update_or_create(product=made, defaults={"on_hand": on_hand})
    return made


def order(*, count: int = 1, to: Delivery = BERLIN, card: str = GOOD_CARD, sku: str = "TEA") -> Order:
    """A placed order of one product."""
    return place_order(customer(), {sku: count}, to, card)


def wait_for_the_end(orders: Iterable[Order], *, timeout: float = 60.0) -> Counter[str]:
    """Wait until every order has ended (or needs attention); returns how many are in which status."""
    ids: list[UUID] = [o.id for o in orders]
    going = Order.objects.filter(id__in=ids, ended_at=None).exclude(status=Order.Status.NEEDS_ATTENTION)
    wait_until(lambda: not going.exists(), f"{len(ids)} orders to end", timeout=timeout)
    return Counter(Order.objects.filter(id__in=ids).values_list("status", flat=True))

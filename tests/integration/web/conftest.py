"""A customer at a browser, and something to order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import strip_tags
from pytest_django import Settings

from orders.models import Product
from orders.services.basket import CustomerBasket
from tests.harness import shop


def text_of(response: Any) -> str:
    """What a page says, without its markup."""
    return re.sub(r"\s+", " ", strip_tags(response.text.replace("<", " <")))


@dataclass(frozen=True)
class Browser:
    """A customer who is signed in."""

    customer: User
    client: Client

    def get(self, path: str, **headers: str) -> Any:
        """Load a page."""
        return self.client.get(path, headers=headers)

    def choose(self, quantity: int = 2, sku: str = "TEA", **headers: str) -> Any:
        """Put something into the basket."""
        product = Product.objects.get(sku=sku)
        return self.client.post(f"/basket/{product.pk}/add", {"quantity": quantity}, headers=headers)

    def form(self, **changes: str) -> dict[str, str]:
        """The checkout's form as it was just loaded, filled in. With two cups of tea where nothing was chosen yet."""
        if not CustomerBasket(self.customer).quantities():
            self.choose()
        page = self.get("/checkout/").text
        hidden = dict(re.findall(r'name="(token|seen)" value="([^"]+)"', page))
        filled = {
            **hidden,
            "recipient": "Ada Example",
            "address": "Unter den Linden 1",
            "postcode": "10117",
            "city": "Berlin",
            "country": "DE",
            "card": shop.GOOD_CARD,
        }
        return filled | changes

    def send(self, form: dict[str, str]) -> Any:
        """Send the checkout's form."""
        return self.client.post("/checkout/", form)


def browser_of(name: str) -> Browser:
    """A customer's browser."""
    customer, client = shop.customer(name), Client()
    client.force_login(customer)
    return Browser(customer, client)


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    """Hashing them slowly proves nothing here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def tea(db: None) -> Product:
    """Something to order."""
    return shop.product("TEA", price="4.50")


@pytest.fixture
def browser(tea: Product) -> Browser:
    """Ada's browser."""
    return browser_of("ada")

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

    def form(self, **changes: str) -> dict[str, str]:
        """The shop's form as it was just loaded, filled in."""
        page = self.get("/").text
        token = re.search(r'name="token" value="([^"]+)"', page)
        assert token is not None
        tea = Product.objects.get(sku="TEA")
        filled = {
            "token": token[1],
            f"quantity-{tea.pk}": "2",
            "recipient": "Ada Example",
            "address": "Unter den Linden 1",
            "postcode": "10117",
            "city": "Berlin",
            "country": "DE",
            "card": shop.GOOD_CARD,
        }
        return filled | changes

    def send(self, form: dict[str, str]) -> Any:
        """Send the shop's form."""
        return self.client.post("/", form)


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

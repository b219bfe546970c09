"""A customer with an API key, and something to order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orders.models import Product
from orders.services import api_keys
from tests.harness import shop

BODY: dict[str, Any] = {
    "lines": [{"sku": "TEA", "quantity": 2}],
    "delivery": asdict(shop.BERLIN),
    "card": shop.GOOD_CARD,
}


@dataclass(frozen=True)
class Api:
    """A program that orders for a customer."""

    customer: User
    secret: str
    client: Client

    def get(self, path: str) -> Any:
        """GET below ``/api``."""
        return self.client.get(f"/api{path}", headers={"Authorization": f"Bearer {self.secret}"})

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """POST below ``/api``."""
        sent = {"Authorization": f"Bearer {self.secret}", **headers}
        return self.client.post(f"/api{path}", body, content_type="application/json", headers=sent)

    def place(self, body: Any = BODY, *, key: str | None = None) -> Any:
        """Place an order, with a new key where none is given."""
        return self.post("/orders", body, **{"Idempotency-Key": key or uuid4().hex})


def api_of(name: str) -> Api:
    """A customer's program."""
    customer = shop.customer(name)
    return Api(customer, api_keys.issue(customer, "test"), Client())


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem that a response tells; it has the form that every error has."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert told["status"] == status
    assert {"type", "title", "code", "detail"} <= told.keys()
    return told


@pytest.fixture
def tea(db: None) -> Product:
    """Something to order."""
    return shop.product("TEA", price="4.50")


@pytest.fixture
def api(tea: Product) -> Api:
    """Ada's program."""
    return api_of("ada")

"""Calling an order off by the API."""

from __future__ import annotations

from uuid import uuid4

from tests.harness import fulfilling, shop
from tests.integration.api.conftest import Api, api_of, problem


def test_an_order_can_be_called_off_while_it_is_early(api: Api) -> None:
    """202: what was done is undone, and the answer shows that this has begun."""
    order = shop.order()
    fulfilling.attempt(order, "inventory")
    response = api.post(f"/orders/{order.id}/cancellation")

    assert response.status_code == 202
    assert response.headers["Location"] == f"/api/orders/{order.id}"
    assert int(response.headers["Retry-After"]) > 0
    assert response.json()["status"] == "cancelling"
    fulfilling.attempt(order, "inventory", "compensation")
    assert api.get(f"/orders/{order.id}").json()["status"] == "cancelled"


def test_a_step_at_work_ends_first(api: Api) -> None:
    """The wish is accepted and shown; the order cannot be called off a second time."""
    order = shop.order()
    fulfilling.begin(order, "inventory")
    told = api.post(f"/orders/{order.id}/cancellation").json()

    assert told["status"] == "placed"
    assert told["cancel_requested"] is True
    assert told["cancellable"] is False


def test_a_shipped_order_cannot_be_called_off(api: Api) -> None:
    """409: it is too late, and nothing changes."""
    order = shop.order()
    fulfilling.ship(order)

    assert problem(api.post(f"/orders/{order.id}/cancellation"), 409)["code"] == "too_late"
    order.refresh_from_db()
    assert order.status == "shipped"


def test_nobody_calls_off_anothers_order(api: Api) -> None:
    """404, as for an order that does not exist; nothing changes."""
    order = shop.order()
    bob = api_of("bob")

    refused = problem(bob.post(f"/orders/{order.id}/cancellation"), 404)
    assert refused == problem(bob.post(f"/orders/{uuid4()}/cancellation"), 404)
    assert fulfilling.saga_of(order).cancel_requested is False

"""Reading orders and products by the API."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from orders.gateways.errors import GatewayUnavailable, PaymentDeclined
from orders.models import Order, Product
from orders.services.placing import place_order
from tests.harness import fulfilling, shop
from tests.integration.api.conftest import Api, api_of, problem


def states(told: dict[str, Any]) -> dict[str, str]:
    """The state of each step."""
    return {step["step"]: step["state"] for step in told["progress"]}


def test_an_order_that_was_just_placed(api: Api) -> None:
    """Its lines, and all steps of what is to come."""
    order = shop.order(count=3)
    response = api.get(f"/orders/{order.id}")
    told = response.json()

    assert response.status_code == 200
    assert int(response.headers["Retry-After"]) > 0
    assert told["status"] == "placed"
    assert told["lines"] == [{"sku": "TEA", "name": "Tea", "quantity": 3, "unit_price": "4.50"}]
    assert told["delivery"]["city"] == "Berlin"
    assert states(told) == {"inventory": "working", "payment": "waiting", "shipping": "waiting"}
    assert told["cancellable"] is True


def test_an_order_that_was_shipped(api: Api) -> None:
    """Ended: a tracking number, times, and no need to ask again."""
    order = shop.order()
    fulfilling.ship(order)
    response = api.get(f"/orders/{order.id}")
    told = response.json()

    assert "Retry-After" not in response.headers
    assert told["status"] == "shipped"
    assert told["ended_at"]
    assert told["tracking_number"] == fulfilling.TRACKING_NUMBER
    assert set(states(told).values()) == {"done"}
    assert told["cancellable"] is False


def test_an_order_whose_payment_is_tried_again(api: Api) -> None:
    """Which attempt, and when the next is due; nothing of the error's text."""
    order = shop.order()
    fulfilling.attempt(order, "inventory")
    trouble = GatewayUnavailable("10.0.0.7:8100 refused the connection", may_have_happened=False)
    fulfilling.attempt(order, "payment", error=trouble)
    response = api.get(f"/orders/{order.id}")
    payment = response.json()["progress"][1]

    assert payment["state"] == "retrying"
    assert payment["attempts"] == 1
    assert payment["next_attempt_at"]
    assert "10.0.0.7" not in response.text


def test_an_order_that_was_cancelled(api: Api) -> None:
    """The reason in words for people, and what was undone."""
    order = shop.order()
    fulfilling.attempt(order, "inventory")
    fulfilling.attempt(order, "payment", error=PaymentDeclined("card_declined", "Your card was declined."))
    fulfilling.attempt(order, "inventory", "compensation")
    told = api.get(f"/orders/{order.id}").json()

    assert told["status"] == "cancelled"
    assert told["reason"] == "Your card was declined."
    assert states(told) == {"inventory": "undone", "payment": "failed", "shipping": "not_needed"}


def test_another_customers_order_is_not_there(api: Api) -> None:
    """404, the very answer of an order that does not exist."""
    theirs = shop.order()
    bob = api_of("bob")

    assert problem(bob.get(f"/orders/{theirs.id}"), 404) == problem(bob.get(f"/orders/{uuid4()}"), 404)
    assert bob.get("/orders").json()["orders"] == []


def test_the_list_is_paged_by_a_cursor_newest_first(api: Api) -> None:
    """Each order once, whatever is placed between two pages."""
    placed = [str(shop.order().id) for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = api.get(f"/orders?limit=2&cursor={cursor}").json()
        seen += [order["id"] for order in page["orders"]]
        cursor = page["next_cursor"]
        shop.order()

    assert seen == placed[::-1]


def test_a_last_page_that_is_full_has_no_next_one(api: Api) -> None:
    """No empty page at the end."""
    for _ in range(2):
        shop.order()

    assert api.get("/orders?limit=2").json()["next_cursor"] is None


def test_the_list_by_status(api: Api) -> None:
    """Only orders with the status asked for."""
    shop.order()
    shipped = shop.order()
    fulfilling.ship(shipped)

    found = api.get("/orders?status=shipped").json()["orders"]
    assert [order["id"] for order in found] == [str(shipped.id)]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=many", "status=lost", "cursor=x", "cursor=%00", "cursor=ü"]
)
def test_a_query_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    """422, naming the parameter."""
    told = problem(api.get(f"/orders?{query}"), 422)

    assert told["errors"][0]["parameter"] == query.split("=", maxsplit=1)[0]


def test_products_with_what_can_be_ordered(api: Api, tea: Product) -> None:
    """On hand less what is promised to others; inactive products are not there."""
    fulfilling.attempt(shop.order(count=3), "inventory")
    shop.product("OLD")
    Product.objects.filter(sku="OLD").update(is_active=False)
    Product.objects.create(sku="NEW", name="New", price="1.00")

    told = {item["sku"]: item["available"] for item in api.get("/products").json()}
    assert told == {"TEA": 997, "NEW": 0}


def test_the_number_of_queries_does_not_grow(api: Api, django_assert_max_num_queries: Any) -> None:
    """No query per line, per order or per product."""
    for number in range(12):
        shop.product(f"P{number}")
    order = place_order(shop.customer(), {f"P{n}": 1 for n in range(12)}, shop.BERLIN, shop.GOOD_CARD)
    for _ in range(12):
        shop.order()

    with django_assert_max_num_queries(2):
        api.get("/orders")
    with django_assert_max_num_queries(2):
        api.get("/products")
    with django_assert_max_num_queries(6):
        assert len(api.get(f"/orders/{order.id}").json()["lines"]) == 12
    assert Order.objects.count() == 13

"""Placing an order by the API."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from orders.models import Order, Product
from outbox.api import Message
from outbox.saga.models import Saga
from tests.harness import shop
from tests.integration.api.conftest import BODY, Api, problem


def changed(**parts: Any) -> dict[str, Any]:
    """The usual body, some of it different; ``delivery__city`` reaches inside."""
    body = deepcopy(BODY)
    for name, value in parts.items():
        outer, _, inner = name.partition("__")
        if inner:
            body[outer][inner] = value
        else:
            body[outer] = value
    return body


def test_an_order_is_accepted_with_the_address_of_its_status(api: Api) -> None:
    """202, with the order's status and link in the body, Location, and Retry-After."""
    response = api.place()

    assert response.status_code == 202
    told = response.json()
    order = Order.objects.get()
    assert told["id"] == str(order.id)
    assert told["number"] == order.number
    assert told["status"] == "placed"
    assert told["total"] == "9.00"
    assert told["status_url"] == response.headers["Location"] == f"/api/orders/{order.id}"
    assert int(response.headers["Retry-After"]) > 0
    assert api.get(f"/orders/{order.id}").status_code == 200


def test_the_order_its_saga_and_its_messages_are_there_when_it_is_accepted(api: Api) -> None:
    """What is accepted is committed whole: order, lines, saga, first command, and events."""
    api.place()

    order = Order.objects.get()
    assert order.customer == api.customer
    assert order.total == Decimal("9.00")
    assert order.lines.get().quantity == 2
    assert Saga.objects.get(key=str(order.id)).status == Saga.Status.RUNNING
    types = set(Message.objects.filter(correlation_id=str(order.id)).values_list("type", flat=True))
    assert types == {"orders.order_placed", "orders.inventory.reserve"}


def test_an_order_takes_few_statements(api: Api, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """Who asks; lock and look for an answer; products; order with its lines, saga with its command, event,
    answer: one statement each.

    Besides them, the transaction's begin and end (a test's are savepoints).
    """
    api.place()
    with django_assert_num_queries(7 + 2):
        assert api.place().status_code == 202


def test_a_failure_after_placing_leaves_nothing(api: Api) -> None:
    """G1: when the transaction that places the order fails, order, saga and messages are gone with it."""

    def place_and_fail() -> None:
        with transaction.atomic():
            shop.order()
            assert Message.objects.exists()
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        place_and_fail()
    assert not Order.objects.exists()
    assert not Saga.objects.exists()
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (changed(lines=[]), "#/lines"),
        (changed(lines=[{"sku": "TEA", "quantity": 0}]), "#/lines/0/quantity"),
        (changed(lines=[{"sku": "TEA", "quantity": 1000}]), "#/lines/0/quantity"),
        (changed(lines=[{"sku": "TEA", "quantity": "2"}]), "#/lines/0/quantity"),
        (changed(lines=[{"sku": "TEA", "quantity": 1.5}]), "#/lines/0/quantity"),
        (changed(lines=[{"sku": "TEA", "quantity": True}]), "#/lines/0/quantity"),
        (changed(lines=[{"sku": "TEA"}]), "#/lines/0/quantity"),
        (changed(lines=[{"sku": "TEA", "quantity": 1}] * 2), "#/lines/1/sku"),
        (changed(lines=[{"sku": "NOPE", "quantity": 1}]), "#/lines"),
        (changed(lines=[{"sku": "\x00", "quantity": 1}]), "#/lines/0/sku"),
        (changed(card="4242 4242 4242 4242"), "#/card"),
        (changed(delivery__city="  "), "#/delivery/city"),
        (changed(delivery__city="x" * 81), "#/delivery/city"),
        (changed(delivery__city="a\x00b"), "#/delivery/city"),
        (changed(delivery__city="\ud800"), "#/delivery/city"),
        (changed(delivery__country="Germany"), "#/delivery/country"),
        (changed(delivery__country="éé"), "#/delivery/country"),
        (changed(coupon="FREE"), "#/coupon"),
        ([], "#"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(api: Api, body: Any, pointer: str) -> None:
    """422, with a pointer to each part that is wrong; nothing is placed."""
    told = problem(api.place(body), 422)

    assert told["code"] == "invalid_request"
    assert pointer in [error["pointer"] for error in told["errors"]]
    assert all(error["detail"] for error in told["errors"])
    assert not Order.objects.exists()


def test_a_product_that_is_not_for_sale_any_more_cannot_be_ordered(api: Api, tea: Product) -> None:
    """An inactive product is as good as none."""
    Product.objects.filter(pk=tea.pk).update(is_active=False)

    assert "TEA" in problem(api.place(), 422)["errors"][0]["detail"]


def test_spaces_around_and_small_letters_do_not_matter(api: Api) -> None:
    """What people type is tidied: the carrier gets a clean address."""
    api.place(changed(delivery__recipient="  Ada ", delivery__country="de"))

    order = Order.objects.get()
    assert (order.recipient, order.country) == ("Ada", "DE")

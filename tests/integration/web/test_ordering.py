"""Ordering by the shop's form."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from orders.models import Order, Product, Stock
from outbox.saga.models import Saga
from tests.harness import shop
from tests.integration.web.conftest import Browser, browser_of, text_of


def test_an_order_is_placed_and_its_page_is_shown(browser: Browser) -> None:
    """The form leads to the order's page, which says what happens now."""
    response = browser.send(browser.form())

    order = Order.objects.get()
    assert response.status_code == 302
    assert response.headers["Location"] == f"/orders/{order.id}/"
    assert (order.customer, order.total, order.city) == (browser.customer, Decimal("9.00"), "Berlin")
    assert Saga.objects.filter(key=str(order.id)).exists()
    assert "we have your order" in text_of(browser.get(response.headers["Location"]))


def test_several_products_in_one_order(browser: Browser, tea: Product) -> None:
    """Fields that are empty or 0 are not ordered."""
    cup, pot = shop.product("CUP"), shop.product("POT")
    browser.send(browser.form(**{f"quantity-{cup.pk}": "1", f"quantity-{pot.pk}": "0"}))

    assert set(Order.objects.get().lines.values_list("product__sku", "quantity")) == {("TEA", 2), ("CUP", 1)}


def test_a_form_sent_twice_makes_one_order(browser: Browser) -> None:
    """A second click, or a reload, leads to the first one's order."""
    form = browser.form()
    first, second = browser.send(form), browser.send(form)

    assert Order.objects.count() == 1
    assert second.headers["Location"] == first.headers["Location"]


def test_a_form_that_was_changed_and_sent_again_asks_back(browser: Browser) -> None:
    """Going back and ordering something else is not lost, and not guessed: the form comes back as a new one."""
    form = browser.form()
    browser.send(form)
    (quantity,) = (name for name in form if name.startswith("quantity-"))
    again = browser.send(form | {quantity: "3"})

    assert again.status_code == 422
    assert "already ordered with this form" in text_of(again)
    assert Order.objects.count() == 1
    assert again.context["form"]["token"].value() != form["token"]
    assert (
        browser.send(form | {quantity: "3", "token": again.context["form"]["token"].value()}).status_code
        == 302
    )
    assert Order.objects.count() == 2


@pytest.mark.parametrize("token", ["", "x"])
def test_a_form_without_its_token_orders_nothing(browser: Browser, token: str) -> None:
    """Without it, a second click could not be told from a second order. The form comes back with a new one."""
    response = browser.send(browser.form(token=token))

    assert response.status_code == 422
    assert "Nothing was ordered" in text_of(response)
    assert response.context["form"]["token"].value() not in ("", "x")
    assert not Order.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_make_one_order_and_both_see_it(transactional_db: None) -> None:
    """The browser shows the second click's answer: that must be the order too."""
    shop.product("TEA")
    browser = browser_of("ada")
    form, together = browser.form(), Barrier(4)

    def click(_: int) -> Any:
        try:
            client = Client()
            client.cookies.update(browser.client.cookies)
            together.wait(20)
            return client.post("/", form)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(click, range(4)))

    order = Order.objects.get()
    assert {answer.headers["Location"] for answer in answers} == {f"/orders/{order.id}/"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("recipient", "", "Please fill this in."),
        ("city", "   ", "Please fill this in."),
        ("postcode", "1" * 17, "at most 16 characters"),
        ("city", "a\x00b", "Null characters are not allowed."),
        ("country", "ZZ", "not one of the available choices"),
        ("card", "", "Please choose a card."),
        ("card", "4242424242424242", "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_next_to_its_field(
    browser: Browser, field: str, value: str, message: str
) -> None:
    """What was typed elsewhere is kept, nothing is ordered, and assistive technology finds the message."""
    response = browser.send(browser.form(**{field: value}))

    assert response.status_code == 422
    assert message in str(response.context["form"].errors[field])
    assert message in text_of(response)
    assert f'id="id_{field}_error"' in response.text
    assert 'aria-invalid="true"' in response.text
    assert "Unter den Linden 1" in response.text
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("-1", "Please enter 0 or more."),
        ("1.5", "Please enter a whole number."),
        ("many", "Please enter a whole number."),
        ("1000", "Please order at most 999 at once."),
        ("501", "There are only 500 left."),
    ],
)
def test_a_quantity_that_cannot_be(browser: Browser, tea: Product, typed: str, message: str) -> None:
    """Said next to the product, with what was typed still there."""
    Stock.objects.filter(product=tea).update(on_hand=500)
    response = browser.send(browser.form(**{f"quantity-{tea.pk}": typed}))

    assert response.status_code == 422
    assert message in text_of(response)
    assert f'value="{typed}"' in response.text
    assert not Order.objects.exists()


def test_nothing_chosen(browser: Browser, tea: Product) -> None:
    """An empty order is none."""
    response = browser.send(browser.form(**{f"quantity-{tea.pk}": "0"}))

    assert "Please choose at least one product." in text_of(response)
    assert not Order.objects.exists()


def test_what_was_sold_out_meanwhile_is_not_dropped_silently(browser: Browser, tea: Product) -> None:
    """The page was loaded while there was some: the customer is told."""
    form = browser.form()
    Stock.objects.update(on_hand=0)
    response = browser.send(form)

    assert response.status_code == 422
    assert "This is sold out." in text_of(response)


def test_stock_is_shown_as_it_is(browser: Browser, tea: Product) -> None:
    """Plenty, few, none; and nothing that is not for sale."""
    shop.product("FEW", on_hand=3)
    shop.product("NONE", on_hand=0)
    shop.product("OLD")
    Product.objects.filter(sku="OLD").update(is_active=False)
    Stock.objects.filter(product=tea).update(on_hand=1234, reserved=34)
    page = text_of(browser.get("/"))

    assert "1,200 in stock" in page
    assert "Only 3 left" in page
    assert page.count("Sold out") == 1
    assert "Old" not in page


def test_an_empty_shop_says_so(browser: Browser) -> None:
    """No form that cannot be sent."""
    Product.objects.update(is_active=False)

    assert "nothing for sale" in text_of(browser.get("/"))


def test_the_address_of_the_last_order_is_filled_in(browser: Browser) -> None:
    """Their own last one, never another's."""
    assert "Unter den Linden" not in browser.get("/").text
    browser.send(browser.form())

    assert "Unter den Linden 1" in browser.get("/").text
    assert "Unter den Linden 1" not in browser_of("bob").get("/").text


def test_the_number_of_queries_does_not_grow_with_the_catalogue(
    browser: Browser, django_assert_max_num_queries: Any
) -> None:
    """Session, user, last address, products."""
    for number in range(20):
        shop.product(f"P{number}")
    with django_assert_max_num_queries(4):
        browser.get("/")


def test_the_form_is_protected_against_other_sites(browser: Browser) -> None:
    """Without the CSRF token nothing is ordered, and the page says what to do."""
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(browser.customer)
    response = careful.post("/", browser.form(token=str(uuid4())))

    assert response.status_code == 403
    assert "load the page again" in text_of(response)
    assert not Order.objects.exists()

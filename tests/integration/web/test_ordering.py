"""Ordering: the checkout's form."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from orders.models import BasketItem, Order, Product, Stock
from outbox.saga.models import Saga
from tests.harness import shop
from tests.integration.web.conftest import Browser, browser_of, text_of


def test_an_order_is_placed_and_its_page_is_shown(browser: Browser) -> None:
    """The form leads to the order's page, which says what happens now; the basket is empty from then on."""
    response = browser.send(browser.form())

    order = Order.objects.get()
    assert response.status_code == 302
    assert response.headers["Location"] == f"/orders/{order.id}/"
    assert (order.customer, order.total, order.city) == (browser.customer, Decimal("9.00"), "Berlin")
    assert Saga.objects.filter(key=str(order.id)).exists()
    assert not BasketItem.objects.exists()
    assert "we have your order" in text_of(browser.get(response.headers["Location"]))


def test_several_products_in_one_order(browser: Browser, tea: Product) -> None:
    """All that is in the basket."""
    shop.product("CUP")
    browser.choose(2)
    browser.choose(1, "CUP")
    browser.send(browser.form())

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
    browser.choose(3)
    again = browser.send(form | {"city": "Potsdam"})

    assert again.status_code == 422
    assert "already ordered with this form" in text_of(again)
    assert Order.objects.count() == 1
    new = again.context["form"]
    assert new["token"].value() != form["token"]
    hidden = {"token": new["token"].value(), "seen": new["seen"].value()}
    assert browser.send(form | {"city": "Potsdam"} | hidden).status_code == 302
    assert Order.objects.count() == 2


@pytest.mark.parametrize("token", ["", "x"])
def test_a_form_without_its_token_orders_nothing(browser: Browser, token: str) -> None:
    """Without it, a second click could not be told from a second order. The form comes back with a new one."""
    response = browser.send(browser.form(token=token))

    assert response.status_code == 422
    assert "Nothing was ordered" in text_of(response)
    assert response.context["form"]["token"].value() not in ("", "x")
    assert not Order.objects.exists()


def clicks(browser: Browser, forms: list[dict[str, str]]) -> list[Any]:
    """Send them all at the same moment."""
    together = Barrier(len(forms))

    def click(form: dict[str, str]) -> Any:
        try:
            client = Client()
            client.cookies.update(browser.client.cookies)
            together.wait(20)
            return client.post("/checkout/", form)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(forms)) as pool:
        return list(pool.map(click, forms))


@pytest.mark.django_db(transaction=True)
def test_clicks_at_once_make_one_order_and_all_see_it(transactional_db: None) -> None:
    """The browser shows the second click's answer: that must be the order too."""
    shop.product("TEA")
    browser = browser_of("ada")
    answers = clicks(browser, [browser.form()] * 4)

    order = Order.objects.get()
    assert {answer.headers["Location"] for answer in answers} == {f"/orders/{order.id}/"}


@pytest.mark.django_db(transaction=True)
def test_two_tabs_at_once_order_a_basket_once(transactional_db: None) -> None:
    """Each tab has a form of its own; whichever is second finds the basket empty."""
    shop.product("TEA")
    browser = browser_of("ada")
    answers = clicks(browser, [browser.form(), browser.form()])

    order = Order.objects.get()
    assert {answer.headers["Location"] for answer in answers} == {f"/orders/{order.id}/", "/basket/"}


@pytest.mark.parametrize(
    "change",
    [
        lambda: Product.objects.update(price="5.00"),
        lambda: BasketItem.objects.update(quantity=3),
        lambda: Stock.objects.update(on_hand=1),
    ],
    ids=["price", "quantity", "stock"],
)
def test_nobody_orders_what_they_have_not_seen(browser: Browser, change: Any) -> None:
    """A price or the basket changed, or the stock went: nothing is ordered, and the page shows how it is now."""
    form = browser.form()
    change()
    response = browser.send(form)

    assert response.status_code == 422
    assert "Your basket has changed. Nothing was ordered yet" in text_of(response)
    assert "Unter den Linden 1" in response.text
    assert not Order.objects.exists()
    new = response.context["form"]
    again = browser.send(form | {"token": new["token"].value(), "seen": new["seen"].value()})
    assert again.status_code == (422 if Stock.objects.get().available == 1 else 302)


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


def test_products_in_several_currencies_are_not_one_order(browser: Browser) -> None:
    """Said above the form."""
    shop.product("BOOK")
    Product.objects.filter(sku="BOOK").update(currency="JPY")
    browser.choose(1, "BOOK")
    browser.choose(1)
    response = browser.send(browser.form())

    assert "Products in different currencies need separate orders." in text_of(response)
    assert not Order.objects.exists()


def test_what_cannot_be_ordered_is_mended_in_the_basket_first(browser: Browser) -> None:
    """There is no checkout of an empty basket, nor of one with something that is sold out."""
    assert browser.get("/checkout/").headers["Location"] == "/basket/"
    browser.choose()
    Stock.objects.update(on_hand=0)

    assert browser.get("/checkout/").headers["Location"] == "/basket/"


def test_the_address_of_the_last_order_is_filled_in(browser: Browser) -> None:
    """Their own last one, never another's."""
    browser.choose()
    assert "Unter den Linden" not in browser.get("/checkout/").text
    browser.send(browser.form())
    browser.choose()
    assert "Unter den Linden 1" in browser.get("/checkout/").text

    bob = browser_of("bob")
    bob.choose()
    assert "Unter den Linden 1" not in bob.get("/checkout/").text


def test_the_form_is_protected_against_other_sites(browser: Browser) -> None:
    """Without the CSRF token nothing is ordered, and the page says what to do."""
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(browser.customer)
    response = careful.post("/checkout/", browser.form(token=str(uuid4())))

    assert response.status_code == 403
    assert "load the page again" in text_of(response)
    assert not Order.objects.exists()

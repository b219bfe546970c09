"""The catalogue: what is for sale, looked for and found, with its stock as it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from orders.models import Product, Stock
from orders.web.views.catalogue import PAGE_SIZE
from tests.harness import shop
from tests.integration.web.conftest import Browser, text_of


def names(html: str) -> list[str]:
    """The products on a page."""
    return re.findall(r"<h3>([^<]+)</h3>", html)


def test_stock_is_shown_as_it_is(tea: Product) -> None:
    """To everybody: plenty, few, none; and nothing that is not for sale. What there is none of cannot be chosen."""
    shop.product("FEW", on_hand=3)
    shop.product("NONE", on_hand=0)
    shop.product("OLD")
    Product.objects.filter(sku="OLD").update(is_active=False)
    Stock.objects.filter(product=tea).update(on_hand=1234, reserved=34)
    response = Client().get("/")
    page = text_of(response)

    assert "1,200 in stock" in page
    assert "Only 3 left" in page
    assert page.count("Sold out") == 2  # on the badge and on the button
    assert response.text.count("disabled") == 2  # its quantity and its button
    assert "Old" not in page


@pytest.fixture
def goods(tea: Product) -> None:
    """Three products, one of them with words in Japanese, one sold out."""
    Product.objects.filter(pk=tea.pk).update(description="Steamed leaves.", name_ja="煎茶")
    shop.product("GREEN-CUP")
    shop.product("POT", on_hand=0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Green-Cup", "Pot", "Tea"]),
        ("q=tea", ["Tea"]),
        ("q=STEAMED", ["Tea"]),
        ("q=煎茶", ["Tea"]),
        ("q=green+cup", ["Green-Cup"]),
        ("q=green+pot", []),
        ("q=%25", []),
        ("in_stock=on", ["Green-Cup", "Tea"]),
        ("q=pot&in_stock=on", []),
        ("page=99", ["Green-Cup", "Pot", "Tea"]),
        ("page=x", ["Green-Cup", "Pot", "Tea"]),
    ],
)
def test_searching(goods: None, query: str, found: list[str]) -> None:
    """Every word must be there, in whichever language; the address alone says what is looked for."""
    assert names(Client().get(f"/?{query}").text) == found


def test_a_search_that_finds_nothing_helps(goods: None) -> None:
    """It says so, keeps what was typed, and leads back to everything."""
    response = Client().get("/?q=zeppelin")

    assert "Nothing here matches that." in text_of(response)
    assert "0 products found." in text_of(response)
    assert "Show everything" in text_of(response)
    assert 'value="zeppelin"' in response.text


@pytest.mark.parametrize(
    ("typed", "message"), [("x" * 81, "at most 80 characters"), ("a%00b", "Null characters are not allowed.")]
)
def test_a_search_that_cannot_be(goods: None, typed: str, message: str) -> None:
    """Said next to the field; no crash, and no results for something else."""
    response = Client().get(f"/?q={typed}")

    assert message in text_of(response)
    assert names(response.text) == []


def test_an_empty_shop_says_so(tea: Product) -> None:
    """No empty frame."""
    Product.objects.update(is_active=False)

    assert "nothing for sale" in text_of(Client().get("/"))


def test_pages(tea: Product) -> None:
    """Every product once; the search stays in the links."""
    for number in range(PAGE_SIZE + 2):
        shop.product(f"P{number:02}")
    first = Client().get("/?q=p")
    onward = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert onward is not None
    second = Client().get("/" + onward[1].replace("&amp;", "&"))

    assert names(first.text) + names(second.text) == [f"P{number:02}" for number in range(PAGE_SIZE + 2)]
    assert "Page 2 of 2" in text_of(second)
    assert 'rel="next"' not in second.text


def test_products_speak_the_readers_language_where_they_can(goods: None) -> None:
    """A product without words in Japanese is shown with those it has."""
    page = Client().get("/", headers={"Accept-Language": "ja"})

    assert names(page.text) == ["Green-Cup", "Pot", "煎茶"]


def test_the_number_of_queries_does_not_grow_with_the_catalogue(
    browser: Browser, django_assert_max_num_queries: Any
) -> None:
    """Session, user, number of products, products, basket (here and in the bar)."""
    for number in range(20):
        shop.product(f"P{number}")
    with django_assert_max_num_queries(6):
        browser.get("/")

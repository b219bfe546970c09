"""The list of a customer's orders."""

from __future__ import annotations

import re
from typing import Any

import pytest

from orders.web.views.orders import PAGE_SIZE
from tests.harness import fulfilling, shop
from tests.integration.web.conftest import Browser, browser_of, text_of


def numbers(html: str) -> list[str]:
    """The orders on a page."""
    return re.findall(r'class="orders-number">([^<]+)<', html)


def test_orders_with_their_statuses_newest_first(browser: Browser) -> None:
    """In plain words."""
    first, second = shop.order(count=3), shop.order()
    fulfilling.ship(first)
    response = browser.get("/orders/")

    assert numbers(response.text) == [second.number, first.number]
    told = text_of(response)
    assert "Shipped" in told
    assert "3 items" in told
    assert "13.50 EUR" in told


def test_pages(browser: Browser) -> None:
    """Every order once, with a way on and a way back."""
    placed = [shop.order().number for _ in range(PAGE_SIZE + 2)]
    first = browser.get("/orders/")
    older = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert older is not None
    second = browser.get(f"/orders/{older[1]}")

    assert numbers(first.text) + numbers(second.text) == placed[::-1]
    assert "Older orders" not in second.text
    assert "Newest orders" in second.text


@pytest.mark.parametrize(("shown", "found"), [("open", 1), ("shipped", 1), ("cancelled", 0), ("", 2)])
def test_orders_of_one_kind(browser: Browser, shown: str, found: int) -> None:
    """The address says which; none of them is said to be none, not that nothing was ever ordered."""
    fulfilling.ship(shop.order())
    shop.order()
    response = browser.get(f"/orders/?show={shown}")

    assert len(numbers(response.text)) == found
    assert ("There are no such orders." in text_of(response)) is (found == 0)


def test_who_has_ordered_nothing_is_offered_no_kinds(browser: Browser) -> None:
    """There is nothing to choose from."""
    assert 'class="groups"' not in browser.get("/orders/").text
    shop.order()
    assert 'class="groups"' in browser.get("/orders/").text
    assert 'class="groups"' in browser.get("/orders/?show=cancelled").text


def test_a_kind_that_does_not_exist(browser: Browser) -> None:
    """404, not a crash."""
    assert browser.get("/orders/?show=nonsense").status_code == 404


def test_pages_keep_the_kind(browser: Browser) -> None:
    """Older orders of the same kind."""
    for _ in range(PAGE_SIZE + 1):
        shop.order()
    onward = re.search(r'rel="next" href="([^"]+)"', browser.get("/orders/?show=open").text)
    assert onward is not None
    older = browser.get("/orders/" + onward[1].replace("&amp;", "&"))

    assert "show=open" in onward[1]
    assert len(numbers(older.text)) == 1
    newest = re.search(r'href="([^"]+)">Newest orders', older.text)
    assert newest is not None
    assert newest[1] == "?show=open"


def test_an_empty_list_helps(browser: Browser) -> None:
    """It leads to the shop."""
    assert "You have not ordered anything yet." in text_of(browser.get("/orders/"))


def test_a_cursor_that_is_none_of_ours(browser: Browser) -> None:
    """404, not a crash."""
    assert browser.get("/orders/?cursor=nonsense").status_code == 404


def test_nobody_elses_orders(browser: Browser) -> None:
    """Bob's list is empty, however much Ada orders."""
    shop.order()

    assert numbers(browser_of("bob").get("/orders/").text) == []


def test_the_number_of_queries_does_not_grow(browser: Browser, django_assert_max_num_queries: Any) -> None:
    """Session, user, orders, basket."""
    for _ in range(PAGE_SIZE):
        shop.order()
    with django_assert_max_num_queries(4):
        browser.get("/orders/")

"""The basket loses nothing that a customer chose, however slow the way to the server is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from orders.services.placing import MOST_OF_ONE
from tests.browser.conftest import Reader, Shop
from tests.harness.shop import product
from tests.harness.waiting import wait_until

CHANGES = "**/basket/*/change"  # where a product's quantity goes


@pytest.fixture
def basket(reader: Reader, shop_alone: Shop) -> Page:
    """Two of tea at 4.50, and one cup at 10.00."""
    product("TEA", price="4.50")
    product("CUP", price="10.00")
    page = reader.open()
    page.goto(shop_alone.url)
    for name, quantity in (("Tea", "2"), ("Cup", "1")):
        page.get_by_label(f"Quantity of {name}").fill(quantity)
        page.get_by_role("button", name=f"Add to basket: {name}").click()
        expect(page.get_by_text(f"{name} is in your basket.")).to_be_visible()
    page.goto(f"{shop_alone.url}/basket/")
    return page


def hold(page: Page, address: str) -> Callable[[], None]:
    """Hold the next request for that address; returns what lets it go on. Later ones pass."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(address, keep, times=1)

    def let_go() -> None:
        wait_until(lambda: page.wait_for_timeout(20) or held, "the request that is held")
        held[0].continue_()

    return let_go


def choose(page: Page, name: str, quantity: str) -> None:
    """Type it, and go on to the next field."""
    page.get_by_label(f"Quantity of {name}").fill(quantity)
    page.get_by_label(f"Quantity of {name}").press("Tab")


def test_a_quantity_chosen_before_the_scripts_are_there_counts(basket: Page) -> None:
    """Whoever is quicker than the page's scripts still gets what they chose."""
    let_go = hold(basket, "**/htmx*.js")
    basket.reload(wait_until="commit")
    choose(basket, "Tea", "3")
    let_go()
    expect(basket.locator(".sum")).to_contain_text("23.50")


def test_quantities_chosen_while_an_answer_is_on_its_way_count(basket: Page) -> None:
    """The answer replaces the basket, but nothing that was chosen after the question."""
    let_go = hold(basket, CHANGES)
    choose(basket, "Tea", "3")
    choose(basket, "Cup", "2")
    choose(basket, "Tea", "4")
    let_go()
    expect(basket.locator(".sum")).to_contain_text("38.00")
    basket.reload()
    expect(basket.locator(".sum")).to_contain_text("38.00")


def test_an_answer_leaves_alone_what_somebody_types(basket: Page) -> None:
    """Nobody's field is emptied under their hands; it is sent when they are done."""
    let_go = hold(basket, CHANGES)
    choose(basket, "Tea", "3")
    basket.get_by_label("Quantity of Cup").fill("7")
    let_go()
    expect(basket.locator(".sum")).to_contain_text("23.50")
    expect(basket.get_by_label("Quantity of Cup")).to_have_value("7")
    expect(basket.get_by_label("Quantity of Cup")).to_be_focused()
    basket.get_by_label("Quantity of Cup").press("Tab")
    expect(basket.locator(".sum")).to_contain_text("83.50")


def test_the_checkout_waits_for_the_answer(basket: Page) -> None:
    """Who changes a quantity and goes on at once pays for what they chose."""
    let_go = hold(basket, CHANGES)
    basket.get_by_label("Quantity of Tea").fill("3")
    basket.get_by_role("link", name="Go to checkout").click()
    let_go()
    basket.wait_for_url("**/login/**")
    basket.get_by_role("link", name="Basket").click()
    expect(basket.locator(".sum")).to_contain_text("23.50")


def test_a_refusal_is_seen_and_not_asked_for_again(basket: Page, reader: Reader) -> None:
    """Who goes on to the checkout with what cannot be had stays, and reads why; once."""
    asked: list[str] = []
    basket.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    let_go = hold(basket, CHANGES)
    basket.get_by_label("Quantity of Tea").fill(str(MOST_OF_ONE + 1))
    basket.get_by_role("link", name="Go to checkout").click()
    let_go()
    expect(basket.get_by_text("Please order at most")).to_be_visible()
    basket.get_by_label("Quantity of Tea").press("Tab")
    choose(basket, "Cup", "2")
    expect(basket.locator(".sum")).to_contain_text("29.00")
    assert len(asked) == 2
    reader.forgive(422)

"""What a customer sees when the server refuses, fails, or is not reached: never nothing."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Page, expect

from tests.browser.conftest import Reader, Shop, give_password, sign_in
from tests.browser.failing import fail, noted
from tests.browser.looking import look_around
from tests.harness.shop import product

ADD, CHANGE = "**/basket/*/add", "**/basket/*/change"
SAID = "That did not work. Load the page again to see how things are, and then try it once more."


@pytest.fixture
def page(reader: Reader, shop_alone: Shop) -> Page:
    """The catalogue, with tea at 4.50 and a cup at 10.00."""
    product("TEA", price="4.50")
    product("CUP", price="10.00")
    opened = reader.open()
    without_debugging(opened)
    opened.goto(shop_alone.url)
    return opened


def without_debugging(page: Page) -> None:
    """As in production: while ``DEBUG`` is on, django_htmx shows errors to developers in place of the page."""
    page.route("**/django-htmx*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))


def add(page: Page, name: str) -> None:
    """Press the button."""
    page.get_by_role("button", name=f"Add to basket: {name}").click()


@pytest.mark.parametrize("status", [503, 500, 404, None])
def test_what_cannot_be_put_into_the_basket_is_said(page: Page, reader: Reader, status: int | None) -> None:
    """Once, and no longer than until something works."""
    fail(page, ADD, status)
    for _ in range(2):
        add(page, "Tea")
        expect(page.locator("#notices .notice-error")).to_have_text(SAID)
    look_around(page, f"not-added-{status}")
    noted(reader)
    page.unroute(ADD)
    add(page, "Tea")
    expect(page.locator("#notices")).to_contain_text("Tea is in your basket.")
    expect(page.locator("#notices .notice-error")).to_have_count(0)


def test_a_form_that_has_expired_says_so(page: Page, reader: Reader) -> None:
    """The server's own refusal: the cookie that a form needs is gone."""
    page.context.clear_cookies()
    add(page, "Cup")
    expect(page.locator("#notices .notice-error")).to_have_text(SAID)
    noted(reader)


def test_it_is_said_in_the_readers_language(reader: Reader, shop_alone: Shop) -> None:
    """As everything else."""
    product("TEA", price="4.50")
    page = reader.open(language="ja")
    without_debugging(page)
    page.goto(shop_alone.url)
    fail(page, ADD, 503)
    page.locator(".product-buy button").click()
    expect(page.locator("#notices .notice-error")).to_contain_text("うまくいきませんでした")
    noted(reader)


@pytest.mark.parametrize("status", [503, None])
def test_the_basket_shows_what_holds(
    page: Page, reader: Reader, shop_alone: Shop, status: int | None
) -> None:
    """A quantity that did not arrive is put back, so that field, line and total agree; and nobody is led on to pay."""
    add(page, "Tea")
    expect(page.locator("#notices")).to_contain_text("Tea is in your basket.")
    page.goto(f"{shop_alone.url}/basket/")
    quantity = page.get_by_label("Quantity of Tea")
    fail(page, CHANGE, status)
    quantity.fill("3")
    page.get_by_role("link", name="Go to checkout").click()
    expect(page.locator("#notices .notice-error")).to_have_text(SAID)
    expect(quantity).to_have_value("1")
    expect(page.locator(".sum")).to_contain_text("4.50")
    expect(page).to_have_url(f"{shop_alone.url}/basket/")
    look_around(page, f"basket-not-changed-{status}")
    noted(reader)
    page.unroute(CHANGE)
    quantity.fill("2")
    quantity.press("Tab")
    expect(page.locator(".sum")).to_contain_text("9.00")
    expect(page.locator("#notices .notice-error")).to_have_count(0)


def test_what_was_chosen_meanwhile_is_sent_or_put_back_too(
    page: Page, reader: Reader, shop_alone: Shop
) -> None:
    """The first choice fails, the one that waited behind it arrives."""
    for name in ("Tea", "Cup"):
        add(page, name)
        expect(page.locator("#notices")).to_contain_text(f"{name} is in your basket.")
    page.goto(f"{shop_alone.url}/basket/")
    page.route(CHANGE, lambda route: (page.wait_for_timeout(300), route.abort()), times=1)
    page.get_by_label("Quantity of Tea").fill("3")
    page.get_by_label("Quantity of Cup").fill("2")
    page.get_by_label("Quantity of Cup").press("Tab")
    expect(page.locator(".sum")).to_contain_text("24.50")
    expect(page.get_by_label("Quantity of Tea")).to_have_value("1")
    expect(page.get_by_label("Quantity of Cup")).to_have_value("2")
    noted(reader)


def test_the_menu_breaks_between_words_only(reader: Reader, shop_alone: Shop) -> None:
    """On a narrow phone, with all that staff see in it."""
    give_password(get_user_model().objects.create_superuser("olga", "olga@example.org"))
    product("TEA")
    page = reader.open(width=360)
    sign_in(page, shop_alone, "olga")
    add(page, "Tea")
    expect(page.locator("#notices")).to_contain_text("Tea is in your basket.")
    entries = page.locator(".bar nav a")
    expect(entries).to_have_count(4)
    assert [entry.bounding_box()["height"] < 50 for entry in entries.all()] == [True] * 4  # type: ignore[index]
    look_around(page, "menu-of-staff")


def test_errors_have_pages(reader: Reader, shop_alone: Shop) -> None:
    """An address that takes forms only, and the orders of somebody who has none."""
    page = reader.open()
    sign_in(page, shop_alone, "ada")
    page.goto(f"{shop_alone.url}/basket/{product('TEA').pk}/change")
    expect(page.get_by_role("heading", name="This address is not a page")).to_be_visible()
    look_around(page, "no-page")
    page.get_by_role("button", name="日本語").click()
    expect(page).to_have_url(f"{shop_alone.url}/")
    reader.forgive(405)
    page.goto(f"{shop_alone.url}/orders/")
    look_around(page, "no-orders")
    page.goto(f"{shop_alone.url}/orders/?show=cancelled")
    look_around(page, "no-cancelled-orders")
    page.goto(f"{shop_alone.url}/admin/")
    expect(page.locator(".errornote")).to_contain_text("ada")

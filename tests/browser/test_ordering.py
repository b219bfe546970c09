"""A customer orders with a real browser, and watches what becomes of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from orders.models import Order
from tests.browser.conftest import Reader, Shop, Site, sign_in
from tests.harness.shop import product

PATIENCE = 30_000  # milliseconds
ORDER = re.compile("/orders/[0-9a-f-]{36}")


def fill_in(page: Page, card: str = "Test card that pays") -> None:
    """The checkout's form."""
    page.get_by_label("Full name").fill("Ada Example")
    page.get_by_label("Street and number").fill("Unter den Linden 1")
    page.get_by_label("Postcode").fill("10117")
    page.get_by_label("Town").fill("Berlin")
    page.get_by_label(card).check()


def go_to_checkout(page: Page, site: Shop) -> None:
    """Choose two, change it to three in the basket, sign in on the way."""
    page.goto(site.url)
    page.get_by_label("Quantity of Tea").fill("2")
    page.get_by_role("button", name="Add to basket: Tea").click()
    page.get_by_role("link", name="Go to the basket").click()
    page.wait_for_url("**/basket/", wait_until="commit")  # the page before has a field of that name, too
    page.get_by_label("Quantity of Tea").fill("3")
    page.get_by_label("Quantity of Tea").press("Tab")
    expect(page.locator(".sum")).to_contain_text("13.50")
    page.get_by_role("link", name="Go to checkout").click()
    sign_in(page, site, "ada", path=None)


def place_order(page: Page, site: Site, card: str = "Test card that pays") -> None:
    """From the catalogue to the order's page."""
    go_to_checkout(page, site)
    fill_in(page, card)
    page.get_by_role("button", name="Place the order").click()
    page.wait_for_url(ORDER)


def count_loads(page: Page) -> list[str]:
    """From now on, the addresses that the page itself is loaded from."""
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    return loads


def count_polls(page: Page) -> list[str]:
    """From now on, the addresses that the page asks for news."""
    polls: list[str] = []
    page.on("request", lambda r: polls.append(r.url) if "/progress" in r.url else None)
    return polls


def test_an_order_ships_while_the_customer_watches(page: Page, site: Site) -> None:
    """Chosen, signed in, placed, shipped: without a reload, by events alone, with a tracking number to show for it."""
    polls = count_polls(page)
    place_order(page, site)
    loads = count_loads(page)
    expect(page.get_by_text("Tracking number:").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("status").filter(has_text="Your parcel is on its way.")).to_have_count(1)
    assert (loads, polls) == ([], [])
    assert Order.objects.get().status == Order.Status.SHIPPED
    assert Order.objects.get().lines.get().quantity == 3


def test_an_order_is_taken_while_payment_is_down_and_ships_when_it_is_back(page: Page, site: Site) -> None:
    """The answer is immediate; retries are told in plain words; the open page sees the parcel leave."""
    site.sandbox.set_faults("payment", down=True)
    place_order(page, site)
    loads = count_loads(page)
    delayed = page.get_by_text("Payment is taking longer than usual. We go on trying.")
    expect(delayed).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text(re.compile(r"tr(y|ies) so far")).first).to_be_visible(timeout=PATIENCE)
    site.sandbox.reset_faults()
    expect(page.get_by_text("Tracking number:").first).to_be_visible(timeout=PATIENCE)
    assert loads == []


def test_a_declined_card_ends_with_a_reason_and_what_was_undone(page: Page, site: Site) -> None:
    """Cancelled, with the provider's words and nothing of ours; the stock is back on the shelf."""
    place_order(page, site, "Test card that is declined")
    expect(page.get_by_text("Your card was declined").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Your items are back on the shelf.")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Your order was cancelled.").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("PaymentDeclined")).to_have_count(0)


def test_without_events_the_page_asks_for_news(page: Page, site: Site) -> None:
    """A proxy that cuts streams off costs the customer nothing but a second or two."""
    page.route("**/events*", lambda route: route.fulfill(status=204))
    polls = count_polls(page)
    place_order(page, site)
    loads = count_loads(page)
    expect(page.get_by_text("Tracking number:").first).to_be_visible(timeout=PATIENCE)
    assert polls
    assert loads == []


@pytest.fixture
def tea_shop(shop_alone: Shop) -> Shop:
    """The web process alone, with something to buy."""
    product("TEA", price="4.50")
    return shop_alone


def test_two_clicks_are_one_order(reader: Reader, tea_shop: Shop) -> None:
    """Sending the same form twice makes one order."""
    page = reader.open()
    go_to_checkout(page, tea_shop)
    fill_in(page)
    page.get_by_role("button", name="Place the order").dblclick()
    page.wait_for_url(ORDER)
    assert Order.objects.count() == 1


def test_by_keyboard_alone(reader: Reader, tea_shop: Shop) -> None:
    """From the skip link to the cancelled order, without a pointer."""
    page = reader.open()
    page.goto(tea_shop.url)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Add to basket: Tea")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Tea is in your basket.")).to_be_visible()
    page.goto(f"{tea_shop.url}/basket/")
    tab_to(page, "Go to checkout")
    page.keyboard.press("Enter")
    sign_in(page, tea_shop, "ada", path=None)
    tab_to(page, "Full name")
    for text in ("Ada Example", "Unter den Linden 1", "10117", "Berlin"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    tab_to(page, "Place the order")
    page.keyboard.press("Enter")
    page.wait_for_url(ORDER)
    tab_to(page, "Cancel this order")
    page.keyboard.press("Enter")
    tab_to(page, "Yes, cancel it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You cancelled this order.")).to_be_visible()
    expect(page.get_by_text("Your order was cancelled.").first).to_be_visible(timeout=PATIENCE)


def tab_to(page: Page, label: str) -> None:
    """Press Tab until something with that name has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if _name_of_the_focus(page) == label:
            return
    raise AssertionError(f"{label} cannot be reached by the keyboard.")


def _name_of_the_focus(page: Page) -> str:
    script = "e => e.ariaLabel ?? (e.labels?.[0] ?? e).textContent.replace(/\\s+/g, ' ').trim()"
    return str(page.locator(":focus").evaluate(script)) if page.locator(":focus").count() else ""

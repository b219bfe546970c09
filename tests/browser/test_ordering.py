"""A customer orders with a real browser, and watches what becomes of it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from orders.models import Order
from tests.browser.conftest import Site, sign_in

PATIENCE = 30_000  # milliseconds


def place_order(page: Page, site: Site, card: str = "Test card that pays") -> None:
    """Fill in the form and send it."""
    sign_in(page, site, "ada")
    page.goto(site.url)
    page.locator("input[type=number]").first.fill("2")
    page.get_by_label("Name").fill("Ada Example")
    page.get_by_label("Street and number").fill("Unter den Linden 1")
    page.get_by_label("Postcode").fill("10117")
    page.get_by_label("Town").fill("Berlin")
    page.get_by_label(card).check()
    page.get_by_role("button", name="Place the order").click()
    page.wait_for_url(re.compile("/orders/[0-9a-f-]{36}"))


def count_loads(page: Page) -> list[str]:
    """From now on, the addresses that the page itself is loaded from."""
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    return loads


def test_an_order_ships_while_the_customer_watches(page: Page, site: Site) -> None:
    """Placed in the browser, shipped without a reload, with a tracking number to show for it."""
    place_order(page, site)
    loads = count_loads(page)
    expect(page.get_by_text("Tracking number:").first).to_be_visible(timeout=PATIENCE)
    assert loads == []
    assert Order.objects.get().status == Order.Status.SHIPPED


def test_an_order_is_taken_while_payment_is_down_and_ships_when_it_is_back(page: Page, site: Site) -> None:
    """The answer is immediate; retries are told in plain words; the open page sees the parcel leave."""
    site.sandbox.set_faults("payment", down=True)
    place_order(page, site)
    loads = count_loads(page)
    expect(page.get_by_text(re.compile(r"tr(y|ies) so far")).first).to_be_visible(timeout=PATIENCE)
    site.sandbox.reset_faults()
    expect(page.get_by_text("Tracking number:").first).to_be_visible(timeout=PATIENCE)
    assert loads == []


def test_a_declined_card_ends_with_a_reason_that_can_be_read(page: Page, site: Site) -> None:
    """Cancelled, with the provider's words and nothing of ours."""
    place_order(page, site, "Test card that is declined")
    expect(page.get_by_text("Your card was declined").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("PaymentDeclined")).to_have_count(0)


def test_two_clicks_are_one_order(page: Page, site: Site) -> None:
    """Sending the same form twice makes one order."""
    sign_in(page, site, "ada")
    page.goto(site.url)
    page.locator("input[type=number]").first.fill("1")
    for label, text in (
        ("Name", "Ada"),
        ("Street and number", "Unter den Linden 1"),
        ("Postcode", "10117"),
        ("Town", "Berlin"),
    ):
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Place the order").dblclick()
    page.wait_for_url(re.compile("/orders/[0-9a-f-]{36}"))
    assert Order.objects.count() == 1

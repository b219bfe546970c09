"""What an operator sees when a part of the console's page asks in vain: never nothing."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Reader, Shop, give_password, sign_in
from tests.browser.failing import fail, noted
from tests.browser.looking import look_around
from tests.integration.admin.making import dead

SWITCH, PANEL, BROKER = "**/faultswitch/*/switch/", "**/panels/**", "**/panels/broker/**"
SAID = "That did not work. Load the page again to see how things are, and then try it once more."
OLD = "No answer: this may be out of date. The page keeps asking."


@pytest.fixture
def shop(shop_alone: Shop) -> Shop:
    """With an operator."""
    give_password(get_user_model().objects.create_superuser("olga", "olga@example.org"))
    return shop_alone


def open_as_operator(reader: Reader, shop: Shop, path: str) -> Page:
    """A page of the console."""
    page = reader.open()
    sign_in(page, shop, "olga", "/admin/login/")
    page.goto(f"{shop.url}/admin/{path}")
    return page


def said(place: Page | Locator) -> Locator:
    """What it says."""
    return place.locator(".console-trouble")


@pytest.mark.parametrize("status", [500, None])
def test_a_switch_that_was_not_switched_says_so(reader: Reader, shop: Shop, status: int | None) -> None:
    """Once, on its own card, until it works."""
    page = open_as_operator(reader, shop, "orders/faultswitch/")
    card = page.locator("#faults-payment")
    fail(page, SWITCH, status)
    for _ in range(2):
        card.get_by_role("button", name="Down").click()
        expect(said(card)).to_have_text(SAID)
        expect(said(card)).to_be_in_viewport()
    expect(said(page)).to_have_count(1)
    look_around(page, f"admin-not-switched-{status}")
    noted(reader)
    page.unroute(SWITCH)
    card.get_by_role("button", name="Down").click()
    expect(card.get_by_role("status")).to_contain_text("down")
    expect(said(page)).to_have_count(0)


def test_a_dashboard_that_stands_still_says_so(reader: Reader, shop: Shop) -> None:
    """On each panel that got no answer, which goes on asking; the next answer has the figures again."""
    page = open_as_operator(reader, shop, "")
    panel = page.locator("#panel-messages")
    expect(page.get_by_text("Asking…")).to_have_count(0)
    fail(page, PANEL, 503)
    expect(said(panel)).to_have_text(OLD)
    look_around(page, "admin-dashboard-stands-still")
    dead(1)
    page.unroute(PANEL)
    expect(said(page)).to_have_count(0)
    expect(page.locator("#figure-messages-dead .console-figure-value")).to_have_text("1")
    noted(reader)


def test_a_panel_that_asks_only_once_says_so(reader: Reader, shop: Shop) -> None:
    """It waits for ever otherwise."""
    page = reader.open()
    sign_in(page, shop, "olga", "/admin/login/")
    fail(page, BROKER, 500)
    page.goto(f"{shop.url}/admin/?live=off")
    expect(said(page.locator("#panel-broker"))).to_have_text(SAID)
    noted(reader)


def test_who_is_signed_out_meanwhile_reads_no_sign_in_page_in_a_panel(reader: Reader, shop: Shop) -> None:
    """The page says that it cannot go on."""
    page = open_as_operator(reader, shop, "")
    expect(page.get_by_text("Asking…")).to_have_count(0)
    page.context.clear_cookies()
    expect(said(page.locator("#panel-messages"))).to_have_text(SAID)
    expect(page.get_by_label("Password")).to_have_count(0)

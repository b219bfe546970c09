"""Every page of the shop: for everybody, on every screen, in both languages."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from playwright.sync_api import Page, expect

from orders.gateways.errors import GatewayUnavailable, PaymentDeclined
from orders.models import Order, Stock
from orders.services.placing import place_order
from tests.browser.conftest import PASSWORD, Reader, Shop
from tests.browser.looking import look_around
from tests.harness import fulfilling, shop
from tests.harness.processes import Platform, free_port, is_there
from tests.harness.waiting import wait_until

AWAY = GatewayUnavailable("connection refused", may_have_happened=False)
DECLINED = PaymentDeclined("card_declined", "Your card was declined. Please use another card.")


@pytest.fixture
def orders(shop_alone: Shop) -> dict[str, Order]:
    """The demonstration catalogue with something short and something gone, and orders at every turn."""
    call_command("seed", stdout=StringIO())
    Stock.objects.filter(product__sku="INCENSE-1").update(on_hand=0)
    quantities = {"MATCHA-30": 2, "WHISK-80": 1, "BOWL-01": 1}
    names = ("cancelled", "shipped", "retrying")
    made = {n: place_order(shop.customer(), quantities, shop.BERLIN, shop.GOOD_CARD) for n in names}
    for order in made.values():
        fulfilling.attempt(order, "inventory")
    for step in ("payment", "shipping"):
        fulfilling.attempt(made["shipped"], step)
    fulfilling.attempt(made["cancelled"], "payment", error=DECLINED)
    fulfilling.attempt(made["cancelled"], "inventory", "compensation")
    for _ in range(3):
        fulfilling.attempt(made["retrying"], "payment", error=AWAY)
    return made


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_page_is_for_everybody(
    reader: Reader, shop_alone: Shop, orders: dict[str, Order], language: str
) -> None:
    """Light or dark, narrow or wide: nothing that axe-core calls serious, nothing wider than the window."""
    page = reader.open(language=language, zone="Asia/Tokyo")

    def look(path: str, name: str) -> None:
        page.goto(shop_alone.url + path)
        look_around(page, f"{name}-{language}")

    look("/", "catalogue")
    look("/?q=zeppelin", "nothing-found")
    look("/basket/", "basket-empty")
    look("/accounts/login/", "login")
    look("/accounts/sign-up/", "sign-up")
    sign_in(page, shop_alone)
    for sku, count in (("SENCHA-100", 2), ("KYUSU-01", 1), ("KNIFE-165", 3)):
        choose(page, shop_alone, sku, count)
    look("/basket/", "basket")
    look("/checkout/", "checkout")
    look("/orders/", "orders")
    for name, order in orders.items():
        look(f"/orders/{order.id}/", f"order-{name}")
    send_wrong_form(page, shop_alone)
    look_around(page, f"checkout-wrong-{language}")
    reader.forgive(422)
    Stock.objects.filter(product__sku="KNIFE-165").update(on_hand=1)
    look("/basket/", "basket-trouble")


def sign_in(page: Page, site: Shop) -> None:
    """In whichever language."""
    page.goto(f"{site.url}/accounts/login/")
    page.locator("[name=username]").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(f"{site.url}/")


def choose(page: Page, site: Shop, sku: str, count: int) -> None:
    """Find it by its SKU and put it into the basket."""
    page.goto(f"{site.url}/?q={sku}")
    page.locator("[name=quantity]").fill(str(count))
    page.locator(".product-buy button").click()
    expect(page.locator("#notices .notice-success")).to_be_visible()


def send_wrong_form(page: Page, site: Shop) -> None:
    """With nothing in it."""
    page.goto(f"{site.url}/checkout/")
    for name in ("recipient", "postcode"):
        page.locator(f"[name={name}]").fill("")
    page.locator(".checkout button").click()
    expect(page.locator("[role=alert]")).to_be_focused()


def test_searching_without_leaving_the_page(
    reader: Reader, shop_alone: Shop, orders: dict[str, Order]
) -> None:
    """What is typed is looked for at once, the address says it, and a reload shows the same."""
    page = reader.open()
    page.goto(shop_alone.url)
    page.get_by_label("Search the shop").press_sequentially("bamboo")
    expect(page.get_by_role("heading", level=3)).to_have_text(["Bamboo whisk"])
    expect(page.get_by_role("status").filter(has_text="1 product found.")).to_have_count(1)
    expect(page).to_have_url(f"{shop_alone.url}/?q=bamboo")
    page.reload()
    expect(page.get_by_role("heading", level=3)).to_have_text(["Bamboo whisk"])


def test_without_script_everything_works(reader: Reader, shop_alone: Shop, orders: dict[str, Order]) -> None:
    """Choosing, changing, and times that name their zone."""
    page = reader.open(script=False)
    sign_in(page, shop_alone)
    choose(page, shop_alone, "MATCHA-30", 2)
    page.goto(f"{shop_alone.url}/basket/")
    page.locator("[name=quantity]").first.fill("3")
    page.get_by_role("button", name="Update").click()
    expect(page.locator(".sum")).to_contain_text("73.50")
    page.goto(f"{shop_alone.url}/orders/{orders['shipped'].id}/")
    expect(page.locator("time").first).to_contain_text("UTC")


def test_times_are_the_readers_own(reader: Reader, shop_alone: Shop, orders: dict[str, Order]) -> None:
    """In their zone, which is named, with the exact instant on hover."""
    page = reader.open(zone="Asia/Tokyo", language="ja")
    sign_in(page, shop_alone)
    page.goto(f"{shop_alone.url}/orders/{orders['shipped'].id}/")
    time = page.locator("time").first
    expect(time).not_to_contain_text("UTC")
    expect(time).to_have_attribute("title", f"{orders['shipped'].placed_at:%Y-%m-%d %H:%M:%S} UTC")
    expect(page.locator("[data-zone]")).to_have_text("Asia/Tokyo")


def test_the_language_can_be_switched(reader: Reader, shop_alone: Shop) -> None:
    """The browser's own at first; the reader's choice from then on, on the same page."""
    page = reader.open(language="ja")
    page.goto(f"{shop_alone.url}/basket/")
    expect(page.locator("h1")).to_have_text("カート")
    page.get_by_role("button", name="English").click()
    expect(page.locator("h1")).to_have_text("Basket")
    expect(page).to_have_url(f"{shop_alone.url}/basket/")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_database_that_is_away_has_a_page(reader: Reader, platform: Platform) -> None:
    """From a process that cannot reach one: 503, and words that help."""
    url = f"http://127.0.0.1:{free_port()}"
    platform.start_web(url, DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing", OUTBOX_WAKE_UP="")
    page = reader.open()
    wait_until(lambda: is_there(f"{url}/"), "the web process to answer")
    answer = page.goto(url)
    assert answer is not None
    assert answer.status == 503
    expect(page.get_by_role("heading", name="We are back in a moment")).to_be_visible()
    look_around(page, "database-away")
    reader.forgive(503)
    page.context.add_cookies([{"name": "sessionid", "value": "of-an-operator", "url": url}])
    page.goto(f"{url}/admin/")
    expect(page.get_by_role("link", name="Back to the console")).to_be_visible()
    look_around(page, "admin-database-away")
    reader.forgive(503)

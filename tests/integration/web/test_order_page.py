"""The order's page: the story of its fulfilment in plain words, kept up to date without reloading."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db.models.functions import Now

from orders import reasons
from orders.exceptions import OutOfStock
from orders.fulfilment import fulfilment
from orders.gateways import sandbox_payment
from orders.gateways.errors import GatewayMisused, GatewayUnavailable, PaymentDeclined, ShipmentRefused
from orders.models import Order
from orders.progress import StepState
from orders.services.cancelling import CANCELLED_BY_CUSTOMER
from orders.services.placing import place_order
from orders.web import wording
from outbox.saga.api import LONGER
from outbox.saga.models import Saga
from tests.harness import fulfilling, shop
from tests.integration.web.conftest import Browser, text_of

AWAY = GatewayUnavailable("http://10.0.0.7:8100 refused the connection", may_have_happened=False)
DECLINED = PaymentDeclined("card_declined", "Your card was declined. Please use another card.")


@pytest.fixture
def order(browser: Browser) -> Order:
    """Ada's order, just placed."""
    return shop.order(count=3)


def page(browser: Browser, order: Order) -> str:
    """What the order's page says."""
    return text_of(browser.get(f"/orders/{order.id}/"))


def polled_path(html: str) -> str | None:
    """Where the page asks for news; ``None`` when it does not ask any more."""
    found = re.search(r'data-poll="([^"]+)" .* data-seen="([^"]+)"', html)
    return f"{found[1]}?seen={found[2]}" if found else None


def test_what_was_ordered_is_there(browser: Browser, order: Order) -> None:
    """Number, lines, total and address."""
    told = page(browser, order)

    assert order.number in told
    assert "Tea 4.50 3 13.50" in told
    assert "13.50 EUR" in told
    assert "Unter den Linden 1" in told


def test_a_shipped_order(browser: Browser, order: Order) -> None:
    """Each step done, and the tracking number."""
    fulfilling.ship(order)
    told = page(browser, order)

    assert "Your parcel is on its way." in told
    assert fulfilling.TRACKING_NUMBER in told
    assert "The carrier has your parcel." in told
    assert "Cancel this order" not in told


def test_an_order_of_long_ago(browser: Browser, order: Order) -> None:
    """Its history was deleted: how it ended is still told, and nothing is made up about the steps."""
    fulfilling.ship(order)
    saga = fulfilling.saga_of(order)
    saga.steps.all().delete()
    Saga.objects.update(history_pruned_at=Now())
    told = page(browser, order)

    assert "Your parcel is on its way." in told
    assert fulfilling.TRACKING_NUMBER in told
    assert "Comes next." not in told


def test_what_takes_long_is_said_in_plain_words(browser: Browser, order: Order) -> None:
    """That it goes on, when, and how often it was tried; nothing of the error's text."""
    fulfilling.attempt(order, "inventory")
    for _ in range(2):
        fulfilling.attempt(order, "payment", error=AWAY)
    told = page(browser, order)

    assert "Payment is taking longer than usual. We go on trying." in told
    assert "2 tries so far." in told
    assert "Next try at" in told
    assert "10.0.0.7" not in told
    assert "GatewayUnavailable" not in told


def test_a_declined_card(browser: Browser, order: Order) -> None:
    """The reason, and that what was done is undone."""
    fulfilling.attempt(order, "inventory")
    fulfilling.attempt(order, "payment", error=DECLINED)
    told = page(browser, order)
    assert "Your order is being cancelled." in told

    fulfilling.attempt(order, "inventory", "compensation")
    told = page(browser, order)
    assert "Your order was cancelled." in told
    assert "Your card was declined. Please use another card." in told
    assert "Your items are back on the shelf." in told
    assert "The payment did not go through." in told
    assert "Not needed any more." in told


def test_a_refused_address_gives_the_money_back(browser: Browser, order: Order) -> None:
    """All that was undone is told, step by step."""
    fulfilling.attempt(order, "inventory")
    fulfilling.attempt(order, "payment")
    refused = ShipmentRefused("address_refused", "We cannot deliver to this address.")
    fulfilling.attempt(order, "shipping", error=refused)
    fulfilling.attempt(order, "payment", "compensation")
    fulfilling.attempt(order, "inventory", "compensation")
    told = page(browser, order)

    assert "whatever was paid is refunded" in told
    assert "We cannot deliver to this address." in told
    assert "The carrier did not take the parcel." in told


def test_too_little_stock(browser: Browser, order: Order) -> None:
    """Nothing had been done, so nothing is undone."""
    fulfilling.attempt(order, "inventory", error=OutOfStock("There is not enough Tea left for 3."))
    told = page(browser, order)

    assert "There is not enough Tea left for 3." in told
    assert "Your items could not be put aside." in told


def test_an_order_that_needs_attention_keeps_its_reason_inside(browser: Browser, order: Order) -> None:
    """The customer learns that somebody takes care of it; the technical reason is for operators."""
    fulfilling.attempt(order, "inventory")
    fulfilling.attempt(order, "payment", error=DECLINED)
    for _ in range(LONGER.max_attempts or 0):
        trouble = GatewayMisused(401, "unauthorized", "bad token s3cr3t")
        fulfilling.attempt(order, "inventory", "compensation", error=trouble)
    assert Order.objects.get().status == Order.Status.NEEDS_ATTENTION
    told = page(browser, order)

    assert "We are looking into your order." in told
    assert "s3cr3t" not in told


def test_a_mistake_of_ours_is_not_told_in_its_own_words(browser: Browser, order: Order) -> None:
    """An order that is cancelled because of a bug or a wrong setting: its error's text is for operators."""
    fulfilling.attempt(order, "inventory")
    fulfilling.attempt(order, "payment", error=GatewayMisused(401, "unauthorized", "bad token s3cr3t"))
    fulfilling.attempt(order, "inventory", "compensation")
    told = page(browser, order)

    assert "Your order was cancelled." in told
    assert "Something went wrong on our side." in told
    assert "s3cr3t" not in told
    assert "s3cr3t" in fulfilling.saga_of(order).steps.get(name="payment").last_error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DECLINED, "カードが承認されませんでした。"),
        (PaymentDeclined("other", "Ask your bank."), "Ask your bank."),
    ],
)
def test_reasons_are_told_in_the_readers_language(
    browser: Browser, order: Order, error: Exception, words: str
) -> None:
    """Those that are known; another one in the words of whoever gave it."""
    fulfilling.attempt(order, "inventory")
    fulfilling.attempt(order, "payment", error=error)

    assert words in text_of(browser.get(f"/orders/{order.id}/", **{"Accept-Language": "ja"}))


def test_every_reason_of_ours_is_known_to_the_translation() -> None:
    """Whoever adds a reason to the gateways adds its translation."""
    given = [
        *sandbox_payment._DECLINES.values(),
        CANCELLED_BY_CUSTOMER,
        AWAY.public_reason,
        fulfilment.unexplained,
    ]
    assert set(given) <= set(reasons.KNOWN)
    assert reasons.OUT_OF_STOCK.fullmatch("There is not enough Tea left for 3.")


def test_every_step_has_words_for_every_state() -> None:
    """Whoever adds a step or a state adds its words."""
    for step in fulfilment.steps:
        assert step.name in wording.TITLES
        for state in StepState:
            assert (step.name, state) in wording.OF_STEP or state in wording.GENERAL, (step.name, state)
            assert state in wording.TONES
    for status in Order.Status:
        assert status in wording.HEADLINES
        assert status in wording.STATUS


def test_the_page_asks_for_news_and_gets_none_while_nothing_changes(browser: Browser, order: Order) -> None:
    """204: the page is left as it is, with its focus and its open parts."""
    path = polled_path(browser.get(f"/orders/{order.id}/").text)
    assert path is not None

    assert browser.get(path, **{"HX-Request": "true"}).status_code == 204


def test_news_replace_the_part_that_changed(browser: Browser, order: Order) -> None:
    """With an address to ask again, and an announcement for those who do not see it."""
    path = polled_path(browser.get(f"/orders/{order.id}/").text)
    assert path is not None
    fulfilling.attempt(order, "inventory")
    news = browser.get(path, **{"HX-Request": "true"})

    assert news.status_code == 200
    assert "Your items are put aside." in text_of(news)
    assert 'id="announcement"' in news.text
    assert "<html" not in news.text
    assert polled_path(news.text) not in (None, path)


def test_a_page_of_an_ended_order_asks_no_more(browser: Browser, order: Order) -> None:
    """Neither the page nor the last news."""
    path = polled_path(browser.get(f"/orders/{order.id}/").text)
    assert path is not None
    fulfilling.ship(order)
    news = browser.get(path, **{"HX-Request": "true"})

    assert polled_path(news.text) is None
    assert '<div id="cancel" hx-swap-oob="innerHTML"></div>' in news.text
    assert polled_path(browser.get(f"/orders/{order.id}/").text) is None


def test_cancelling(browser: Browser, order: Order) -> None:
    """While it is possible: the page says that it is being undone, and the button is gone."""
    fulfilling.attempt(order, "inventory")
    assert "Yes, cancel it" in page(browser, order)
    response = browser.client.post(f"/orders/{order.id}/cancel", follow=True)

    assert "You cancelled this order." in text_of(response)
    assert "Your order is being cancelled." in text_of(response)
    assert "Yes, cancel it" not in text_of(response)
    assert fulfilling.saga_of(order).cancel_requested


def test_cancelling_while_a_step_is_at_work(browser: Browser, order: Order) -> None:
    """The wish is shown, and that the step ends first."""
    fulfilling.begin(order, "inventory")
    response = browser.client.post(f"/orders/{order.id}/cancel", follow=True)

    assert "You asked us to cancel this order." in text_of(response)
    assert "Yes, cancel it" not in text_of(response)


def test_cancelling_too_late(browser: Browser, order: Order) -> None:
    """Said, and nothing changes."""
    fulfilling.ship(order)
    response = browser.client.post(f"/orders/{order.id}/cancel", follow=True)

    assert "can no longer be cancelled" in text_of(response)
    order.refresh_from_db()
    assert order.status == Order.Status.SHIPPED


def test_a_link_does_not_cancel(browser: Browser, order: Order) -> None:
    """GET changes nothing."""
    assert browser.get(f"/orders/{order.id}/cancel").status_code == 405
    assert not fulfilling.saga_of(order).cancel_requested


def test_the_number_of_queries_does_not_grow(browser: Browser, django_assert_max_num_queries: Any) -> None:
    """Session, user, order, lines, shipment, mark, saga, steps, next attempt, basket; however many lines."""
    for number in range(15):
        shop.product(f"P{number}")
    quantities = {f"P{number}": 1 for number in range(15)}
    order = place_order(browser.customer, quantities, shop.BERLIN, shop.GOOD_CARD)
    fulfilling.attempt(order, "inventory", error=AWAY)

    with django_assert_max_num_queries(10):
        browser.get(f"/orders/{order.id}/")
    with django_assert_max_num_queries(9):
        browser.get(f"/orders/{order.id}/progress")

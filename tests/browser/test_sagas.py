"""An operator looks at sagas and sees to them, with a real browser; the classroom of the fault switches."""

from __future__ import annotations

import os
import re
from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from playwright.sync_api import Page, expect

from orders.models import Order
from outbox.saga.models import Saga, SagaStep
from tests.browser.conftest import PASSWORD, Site, sign_in
from tests.harness.shop import NOWHERE, order
from tests.harness.waiting import wait_until

PATIENCE = 30_000  # milliseconds
REASON = "Settled by telephone."


def test_skip_from_the_timeline_and_the_order_ships(page: Page, site: Site) -> None:
    """Payment stopped for good; the operator skips it from the saga's page, and sees the rest happen there."""
    made = stopped_at_payment(site)
    sign_in(page, site, "olga", "/admin/login/")
    open_from_the_list(page, site, made)
    expect(page.get_by_label("Timeline of the saga")).to_be_visible()
    shoot(page, "saga-stopped")
    page.get_by_role("link", name="Skip", exact=True).click()
    give_reason(page, "Skip a step")
    expect(page.get_by_text("A step of 1 saga was skipped.")).to_be_visible()
    expect(page.get_by_role("status").get_by_text("Completed")).to_be_visible(timeout=PATIENCE)
    skipped = SagaStep.objects.get(saga=made, name="payment")
    assert skipped.status == "skipped"
    assert Order.objects.get().status == Order.Status.SHIPPED


def test_compensate_from_the_timeline_while_it_is_watched(page: Page, site: Site) -> None:
    """The operator turns a stopped saga back; the page shows each undo as it happens, without a reload."""
    made = stopped_at_payment(site)
    sign_in(page, site, "olga", "/admin/login/")
    page.goto(address(site, made))
    page.get_by_role("link", name="Compensate").click()
    give_reason(page, "Compensate")
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    expect(page.get_by_role("status").get_by_text("Compensated")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_label(re.compile("inventory: succeeded")).first).to_be_visible()
    assert loads == []
    assert Order.objects.get().status == Order.Status.CANCELLED


def test_an_error_is_a_click_away(page: Page, site: Site) -> None:
    """A bar of the drawing leads to its line of the history, which says what went wrong."""
    refused = order(to=NOWHERE)
    made = saga_of(refused)
    wait_until(lambda: Saga.objects.get(pk=made.pk).ended_at, "the saga to end")
    sign_in(page, site, "olga", "/admin/login/")
    page.goto(address(site, made))
    shoot(page, "saga")
    page.get_by_label(re.compile("shipping: failed for good")).first.click()
    expect(page.locator("li:target")).to_contain_text("address_refused")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    shoot(page, "saga-narrow")


def test_a_reader_sees_and_is_refused(page: Page, site: Site) -> None:
    """No buttons; and the handler refuses a form that is sent all the same."""
    reader = get_user_model().objects.create_user("rita", password=PASSWORD, is_staff=True)
    reader.groups.add(Group.objects.get(name="Readers"))
    made = stopped_at_payment(site)
    sign_in(page, site, "rita", "/admin/login/")
    page.goto(address(site, made))
    expect(page.get_by_text("Needs attention").first).to_be_visible()
    expect(page.get_by_role("link", name="Skip")).to_have_count(0)
    token = next(c["value"] for c in page.context.cookies() if c["name"] == "csrftoken")
    answer = page.request.post(
        address(site, made).replace("/change/", "/operate/skip/"),
        form={"step": "payment", "reason": REASON, "csrfmiddlewaretoken": token},
        headers={"Referer": site.url},
    )
    assert answer.status == 403
    assert SagaStep.objects.get(saga=made, name="payment").status != "skipped"


def test_the_classroom_payment_down_and_back(page: Page, site: Site) -> None:
    """A press makes payment go away; orders wait without spending tries; another press, and they ship."""
    sign_in(page, site, "olga", "/admin/login/")
    page.goto(f"{site.url}/admin/orders/faultswitch/")
    card = page.locator("#faults-payment")
    card.get_by_role("button", name="Down").click()
    expect(card.get_by_role("status")).to_contain_text("down")
    shoot(page, "fault-switches")
    orders = [order() for _ in range(7)]
    waiting = SagaStep.objects.filter(waits_for__reason="away", status="scheduled")
    wait_until(waiting.exists, "a step to wait for payment")
    page.goto(f"{site.url}/admin/saga/saga/")
    expect(page.get_by_text(re.compile("is away|is being tried")).first).to_be_visible()
    shoot(page, "saga-list")
    page.goto(f"{site.url}/admin/orders/faultswitch/")
    card.get_by_role("button", name="All well").click()
    expect(card.get_by_role("status")).to_contain_text("all well")
    ids = [placed.id for placed in orders]
    shipped = Order.objects.filter(id__in=ids, status=Order.Status.SHIPPED)
    wait_until(lambda: shipped.count() == len(orders), "all orders to ship", timeout=90)


def stopped_at_payment(site: Site) -> Saga:
    """A saga that stopped at its payment step and waits for a person."""
    site.sandbox.set_faults("payment", down=True)
    made = saga_of(order())
    paying = SagaStep.objects.filter(saga=made, name="payment", status="scheduled", attempt__gte=1)
    wait_until(paying.exists, "payment to be tried")
    stop(made)
    site.sandbox.reset_faults()
    return made


def stop(made: Saga) -> None:
    """Park it, as the watchdog does with what it cannot bring on."""
    from outbox.saga import engine
    from outbox.saga.turn import turn

    with turn(made.id, "watchdog") as t:
        assert t is not None
        engine.park(t, "The provider says that this account is closed.")


def saga_of(placed: Order) -> Saga:
    """The order's saga."""
    return Saga.objects.get(key=str(placed.pk))


def address(site: Site, made: Saga) -> str:
    """The saga's page."""
    return f"{site.url}/admin/saga/saga/{made.pk}/change/"


def open_from_the_list(page: Page, site: Site, made: Saga) -> None:
    """It stands above the list, because it needs somebody."""
    page.goto(f"{site.url}/admin/saga/saga/")
    expect(page.get_by_text("1 saga needs attention")).to_be_visible()
    page.get_by_role("link", name=f"orders.fulfilment {made.key}").first.click()
    page.wait_for_url(address(site, made))


def give_reason(page: Page, button: str) -> None:
    """Say why on the page that confirms, and press the button."""
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name=button).click()


def shoot(page: Page, name: str) -> None:
    """A picture for the docs, light and dark, where SCREENSHOTS names a directory."""
    directory, before = os.environ.get("SCREENSHOTS"), page.viewport_size
    if not directory or before is None:
        return
    page.set_viewport_size({"width": before["width"], "height": 1200})
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.reload()
        page.screenshot(path=Path(directory) / f"{name}-{scheme}.png")
    page.set_viewport_size(before)

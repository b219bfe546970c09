"""An operator at the admin, with a real browser."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.db import transaction
from playwright.sync_api import Page, expect

from outbox.models import BulkOperation, Message, Pause, RateLimit, Status
from outbox.publish import send_command
from tests.browser.conftest import PASSWORD, Reader, Shop, Site, sign_in
from tests.browser.looking import look_around
from tests.harness.waiting import wait_until
from tests.integration.admin.making import dead, message

PATIENCE = 30_000  # milliseconds
SIGN_IN = "/admin/login/"


def test_an_operator_finds_dead_letters_dry_runs_redrives_and_sees_them_consumed(
    page: Page, site: Site
) -> None:
    """From the dashboard's figure to the list, to the count, to the bar that fills, to the message that is consumed."""
    with transaction.atomic():
        ids = [send_command("orders.count_daily_salse", {}) for _ in range(3)]
    failed = Message.objects.filter(pk__in=ids, status=Status.FAILED)
    wait_until(lambda: failed.count() == 3, "the messages to fail")
    sign_in(page, site, "olga", SIGN_IN)
    page.goto(f"{site.url}/admin/")
    page.locator("#figure-messages-dead").click()
    expect(page.get_by_text("UnknownType").first).to_be_visible()
    failed.update(consumer="outbox.distribute", type="orders.order_placed")  # the typing error is mended
    page.reload()
    page.get_by_role("link", name="Redrive all").click()
    expect(page.get_by_text("3 messages would be changed now")).to_be_visible()
    page.get_by_role("button", name="Redrive: 3").click()
    expect(page.get_by_text("Say why")).to_be_visible()
    page.get_by_label("Reason").fill("The typing error is mended.")
    page.get_by_role("button", name="Redrive: 3").click()
    expect(page.get_by_text("3 of 3 messages")).to_be_visible(timeout=PATIENCE)
    consumed = Message.objects.filter(pk__in=ids, consumed_at__isnull=False)
    wait_until(lambda: consumed.count() == 3, "the messages to be consumed", timeout=30)
    page.goto(f"{site.url}/admin/outbox/message/{ids[0]}/change/")
    expect(page.get_by_text("Sent · consumed", exact=True).first).to_be_visible()
    page.goto(f"{site.url}/admin/outbox/message/{ids[0]}/history/")
    expect(page.get_by_text("The typing error is mended.").first).to_be_visible()


def test_who_may_only_read_is_refused_in_the_handler(reader: Reader, shop_alone: Shop) -> None:
    """No button is offered, and whoever asks without one is refused by the server."""
    (made,) = dead(1)
    rita = User.objects.create_user("rita", password=PASSWORD, is_staff=True)
    rita.groups.add(Group.objects.get(name="Readers"))
    page = reader.open()
    sign_in(page, shop_alone, "rita", SIGN_IN)
    page.goto(f"{shop_alone.url}/admin/outbox/message/?state=dead")
    expect(page.get_by_role("link", name="Redrive all")).to_have_count(0)
    answer = page.goto(f"{shop_alone.url}/admin/outbox/message/all/redrive/?state=dead")
    assert answer is not None
    assert answer.status == 403
    reader.forgive(403)
    made.refresh_from_db()
    assert made.status == Status.FAILED


def test_the_dashboard_refreshes_by_itself_until_told_not_to(reader: Reader, shop_alone: Shop) -> None:
    """A dead letter appears without a reload; with the refresh stopped the page stands still."""
    page = _as_operator(reader, shop_alone)
    page.goto(f"{shop_alone.url}/admin/")
    figure = page.locator("#figure-messages-dead .console-figure-value")
    expect(figure).to_have_text("0")
    figure.click(trial=True)
    page.locator("#figure-messages-dead").focus()
    dead(1)
    expect(figure).to_have_text("1", timeout=PATIENCE)
    assert (
        page.evaluate("document.activeElement.id") == "figure-messages-dead"
    )  # a refresh takes nobody's place
    page.get_by_role("link", name="Stop refreshing").click()
    expect(page.locator("[hx-trigger^=every]")).to_have_count(0)


def test_the_consoles_pages_can_be_read_by_everybody(reader: Reader, shop_alone: Shop) -> None:
    """Dashboard, list, message, dry run, progress, controls: narrow and wide, light and dark, no console errors."""
    letters = dead(3, errors=2)
    for state in ("pending", "retrying", "unconsumed", "consumed", "consumed"):
        message(state, correlation_id="A-17")
    bulk = BulkOperation.objects.create(
        kind="redrive",
        query="state=dead",
        reason="Why.",
        expected=40,
        done=25,
        last=letters[0].pk,
        asked_by="olga",
    )
    Pause.objects.create(scope="queue", value="payment", reason="The provider is down.", paused_by="olga")
    RateLimit.objects.create(type="orders.payment.charge", per_second=5, reason="It is slow.", set_by="olga")
    page = _as_operator(reader, shop_alone)
    for name, path in {
        "dashboard": "?live=off",
        "messages": "outbox/message/",
        "nothing": "outbox/message/?state=dead&error=nothing-like-this",
        "message": f"outbox/message/{letters[0].pk}/change/",
        "dry-run": "outbox/message/all/redrive/?state=dead",
        "progress": f"outbox/bulkoperation/{bulk.pk}/change/",
        "pauses": "outbox/pause/",
        "pause": "outbox/pause/add/",
        "limits": "outbox/ratelimit/",
    }.items():
        answer = page.goto(f"{shop_alone.url}/admin/{path}")
        assert answer is not None
        assert answer.status == 200, path
        expect(page.get_by_text("Asking…")).to_have_count(0)
        look_around(page, f"admin-{name}", again=True)


def test_the_console_speaks_japanese(reader: Reader, shop_alone: Shop) -> None:
    """By the browser's language."""
    dead(2, errors=1)
    page = _as_operator(reader, shop_alone, language="ja-JP")
    page.goto(f"{shop_alone.url}/admin/?live=off")
    expect(page.get_by_text("状態別メッセージ")).to_be_visible()
    for name, path in {"dashboard": "?live=off", "dry-run": "outbox/message/all/redrive/?state=dead"}.items():
        page.goto(f"{shop_alone.url}/admin/{path}")
        look_around(page, f"admin-ja-{name}", again=True)


def _as_operator(reader: Reader, shop: Shop, language: str = "en-GB") -> Page:
    olga = User.objects.create_user("olga", password=PASSWORD, is_staff=True)
    olga.groups.add(Group.objects.get(name="Operators"))
    page = reader.open(language=language)
    page.goto(f"{shop.url}{SIGN_IN}")
    page.locator("#id_username").fill("olga")
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#id_password").press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
    return page

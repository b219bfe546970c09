"""An operator at the admin, with a real browser."""

from __future__ import annotations

from django.db import transaction
from playwright.sync_api import Page, expect

from outbox.models import Message, Status
from outbox.publish import send_command
from tests.browser.conftest import Site, sign_in
from tests.harness.waiting import wait_until

PATIENCE = 30_000  # milliseconds


def test_an_operator_finds_a_failed_message_redrives_it_and_sees_it_consumed(page: Page, site: Site) -> None:
    """A typing error in a type is Failed with its reason; mended and redriven, it is consumed."""
    with transaction.atomic():
        message_id = send_command("orders.count_daily_salse", {})
    failed = Message.objects.filter(pk=message_id, status=Status.FAILED)
    wait_until(failed.exists, "the message to fail")
    sign_in(page, site, "olga", "/admin/login/")
    page.goto(f"{site.url}/admin/outbox/message/{message_id}/change/")
    expect(page.get_by_text("Did you mean").first).to_be_visible()
    failed.update(consumer="outbox.distribute", type="orders.order_placed")
    page.reload()
    page.get_by_role("link", name="Redrive").or_(page.get_by_role("button", name="Redrive")).first.click()
    confirm = page.get_by_role("button", name="Redrive")
    if confirm.count():
        confirm.first.click()
    wait_until(
        lambda: Message.objects.get(pk=message_id).consumed_at is not None,
        "the message to be consumed",
        timeout=30,
    )
    page.goto(f"{site.url}/admin/outbox/message/{message_id}/change/")
    expect(page.get_by_text("Sent").first).to_be_visible(timeout=PATIENCE)


def test_the_lists_and_pages_render_without_console_errors(page: Page, site: Site) -> None:
    """Messages, sagas, orders, products, results: each list opens under the content security policy."""
    sign_in(page, site, "olga", "/admin/login/")
    for path in (
        "outbox/message/",
        "outbox/message/add/",
        "saga/saga/",
        "orders/order/",
        "orders/product/",
        "django_celery_results/taskresult/",
    ):
        answer = page.goto(f"{site.url}/admin/{path}")
        assert answer is not None
        assert answer.status == 200, path

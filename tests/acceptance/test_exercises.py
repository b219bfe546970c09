"""The exercises of ``docs/exercises.md``, with the commands that stand there. The third, two relays at once, is
``test_relays.test_two_at_once_send_each_message_once``."""

from __future__ import annotations

from datetime import timedelta

from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.functions import Now
from redis import Redis

from outbox.models import Attempt, Message, Status
from outbox.publish import send_command
from tests.harness.processes import Platform
from tests.harness.shop import order, product
from tests.harness.waiting import wait_until


def test_exercise_1_a_row_inserted_by_hand_is_delivered_and_becomes_sent(
    platform: Platform, broker: Redis
) -> None:
    """A type and a payload are enough: every subscriber gets it, and each row ends as Sent and consumed."""
    platform.whole()
    product()
    placed = order()
    Message.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_message (type, payload) VALUES ('orders.order_paid', jsonb_build_object("
            "'order_id', %s::text, 'amount', '4.50', 'currency', 'EUR'))",
            [placed.id],
        )
    rows = Message.objects.filter(type="orders.order_paid")
    wait_until(
        lambda: rows.filter(consumed_at__isnull=False).count() == 2,
        "the row and its subscriber's to be consumed",
    )
    assert {row.status for row in rows} == {Status.SENT}
    assert {row.consumer for row in rows} == {"", "orders.email_order_paid"}


def test_exercise_2_sending_that_fails_grows_attempts_and_ends_as_failed(
    platform: Platform, broker: Redis
) -> None:
    """Failing half the time: attempts grow, the next one moves. Failing always: Failed, with each error kept."""
    with transaction.atomic():
        for _ in range(40):
            send_command("orders.count_daily_sales", {})
    assert (
        platform.manage("dispatch", "--fail", "0.5", "--seed", "1", OUTBOX_RESEND_AFTER="600").popen.wait(30)
        == 0
    )
    retried = Message.objects.filter(status=Status.PENDING)
    assert 5 < retried.count() < 35
    for row in retried:
        assert row.attempts == 1
        assert row.next_attempt_at > row.occurred_at
        assert "failed on purpose" in row.last_error
    for _ in range(7):
        retried.update(next_attempt_at=Now() - timedelta(seconds=1))
        call_command("dispatch", "--fail", "1")
    failed = Message.objects.filter(status=Status.FAILED)
    assert failed.count() == Message.objects.exclude(status=Status.SENT).count() > 0
    assert {row.attempts for row in failed} == {8}
    assert Attempt.objects.filter(message=failed[0]).count() == 8

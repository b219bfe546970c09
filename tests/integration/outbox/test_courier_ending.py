"""Real processes that end while they have something to send at once."""

from __future__ import annotations

import pytest
from django.db import transaction
from redis import Redis

from outbox.models import Message
from outbox.relay.engine import Relay
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox.publishing_worker import publish_more


def test_a_process_that_ends_sends_what_it_has_in_hand(platform: Platform, broker: Redis) -> None:
    """Such as a command that publishes and is done: the message is with the broker and settled."""
    script = (
        "import django; django.setup()\n"
        "from django.db import transaction\n"
        "from outbox.publish import send_command\n"
        "with transaction.atomic():\n"
        "    send_command('orders.count_daily_sales', {})\n"
    )
    ended = platform.start("command", "python", "-c", script, OUTBOX_WAKE_UP="direct,task")
    assert ended.popen.wait(60) == 0, ended.output
    assert Message.objects.get().status == "sent"
    assert in_queue(broker, "default") == 1


@pytest.mark.parametrize("flags", [("--max-tasks-per-child", "1"), ()], ids=["done", "told to stop"])
def test_a_worker_that_ends_sends_what_its_tasks_have_published(
    platform: Platform, broker: Redis, flags: tuple[str, ...]
) -> None:
    """A child ends while what its task has published is on its way, or not settled yet."""
    worker = platform.start(
        "worker", "celery", "-A", "tests.integration.outbox.publishing_worker", "worker", "-Q", "default", "-c", "1",
        "--without-gossip", "--without-mingle", "--without-heartbeat", *flags, OUTBOX_WAKE_UP="direct",
    ).wait_for(" ready.")  # fmt: skip
    with transaction.atomic():
        publish_more.apply_async(queue="default")
    Relay().run_once()
    published = Message.objects.filter(type="sample.left_behind")
    wait_until(published.exists, "the task to publish")
    if not flags:
        assert worker.stop() == 0
    wait_until(
        published.filter(status="sent").exists, "what it has published to be sent and settled", timeout=10
    )
    assert in_queue(broker, "elsewhere") == 1


def in_queue(broker: Redis, queue: str) -> int:
    """Tasks in the broker, whatever their priority."""
    return sum(broker.llen(key) for key in broker.keys(f"{queue}*") if broker.type(key) == b"list")

"""Real relays as real processes: none sends twice, and what a dead one held is sent by another."""

from __future__ import annotations

import json
import os
import signal

import pytest
from django.db import transaction
from redis import Redis

from outbox.models import Message, Status
from outbox.publish import send_command
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until

QUEUE = "default"


def publish(count: int) -> None:
    """Commit so many messages to a task that no worker is running for."""
    with transaction.atomic():
        for number in range(count):
            send_command("orders.count_daily_sales", {"number": number})


def task_ids(broker: Redis) -> list[str]:
    """The ids of all tasks in the broker, whatever their priority."""
    keys = [key for key in broker.keys(f"{QUEUE}*") if broker.type(key) == b"list"]
    return [json.loads(raw)["headers"]["id"] for key in keys for raw in broker.lrange(key, 0, -1)]


@pytest.mark.parametrize("ways", [("relay", "relay"), ("relay", "dispatch")])
def test_two_at_once_send_each_message_once(platform: Platform, broker: Redis, ways: tuple[str, str]) -> None:
    """2,000 rows, two relays (in any of its ways): 2,000 tasks in the broker, none twice."""
    publish(2000)
    relays = [platform.manage(way) for way in ways]
    wait_until(lambda: not Message.objects.exclude(status=Status.SENT).exists(), "all rows to be sent")
    ids = task_ids(broker)
    assert len(ids) == 2000
    assert len(set(ids)) == 2000
    for way, relay in zip(ways, relays, strict=True):
        if way == "relay":
            relay.wait_for("The relay is running")  # a relay that came late may still be starting
    assert [
        relay.popen.wait(30) if way == "dispatch" else relay.stop()
        for way, relay in zip(ways, relays, strict=True)
    ] == [0, 0]


def test_what_a_killed_relay_had_claimed_is_sent_by_another(platform: Platform, broker: Redis) -> None:
    """SIGKILL after the claim: the rows come back after the lease, and are sent once more."""
    from tests.servers import SERVERS

    publish(200)
    SERVERS.valkey.freeze()  # the relay claims, and hangs in the send
    try:
        doomed = platform.manage("relay")
        claimed = Message.objects.filter(status=Status.PROCESSING)
        wait_until(lambda: claimed.count() == 200, "the relay to claim")
        doomed.kill()
    finally:
        SERVERS.valkey.thaw()
    platform.manage("relay")
    wait_until(lambda: not Message.objects.exclude(status=Status.SENT).exists(), "all rows to be sent")
    assert {row.attempts for row in Message.objects.all()} == {1}
    assert set(task_ids(broker)) == {str(row.id) for row in Message.objects.all()}


def test_sigterm_finishes_the_batch_and_exits_cleanly(platform: Platform, broker: Redis) -> None:
    """An orderly stop leaves nothing claimed and says so."""
    relay = platform.manage("relay").wait_for("The relay is running")
    publish(1000)
    os.kill(relay.popen.pid, signal.SIGTERM)
    assert relay.stop() == 0
    assert "The relay has stopped" in relay.output
    assert not Message.objects.filter(status=Status.PROCESSING).exists()


def test_dispatch_says_what_it_did_and_ends(platform: Platform, broker: Redis) -> None:
    """One pass for cron: exit 0, everything sent."""
    publish(30)
    done = platform.manage("dispatch")
    assert done.popen.wait(30) == 0
    assert "30 sent, 0 failed" in done.output


def test_dispatch_without_a_broker_gives_everything_back(platform: Platform) -> None:
    """Exit 1 with a sentence, no traceback, and no attempt spent."""
    publish(3)
    done = platform.manage("dispatch", BROKER_URL="redis://127.0.0.1:9/0")
    assert done.popen.wait(60) == 1
    assert "The broker is away" in done.output
    assert "Traceback" not in done.output
    assert set(Message.objects.values_list("status", "attempts")) == {(Status.PENDING, 0)}


def test_the_relay_thread_sends_what_its_own_process_commits(platform: Platform, broker: Redis) -> None:
    """The smallest deployment: a background thread of the process that publishes."""
    script = (
        "import django; django.setup()\n"
        "from django.db import transaction\n"
        "from outbox.models import Message\n"
        "from outbox.publish import send_command\n"
        "from tests.harness.waiting import wait_until\n"
        "with transaction.atomic():\n"
        "    send_command('orders.count_daily_sales', {})\n"
        "wait_until(lambda: Message.objects.filter(status='sent').exists(), 'the thread to send')\n"
    )
    process = platform.start("thread", "python", "-c", script, OUTBOX_WAKE_UP="thread")
    assert process.popen.wait(60) == 0, process.output
    assert len(task_ids(broker)) == 1

"""``manage.py relay`` as a process: it outlives broker and database, and ends when it is told to."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest
from django.db import connections
from redis import Redis

from outbox.models import Message, Status
from outbox.relay.batch import STOP_GRACE
from tests import servers
from tests.harness.processes import Platform, Process, answers, free_port
from tests.harness.proxy import Proxy
from tests.harness.waiting import wait_until

PROMPT = 3.0
"""Seconds that a busy machine may take for what needs no time."""
RUNNING = "The relay is running."
CONSUMER = "orders.count_daily_sales"
"""Any task that the process knows."""
PATIENT = {"OUTBOX_RESEND_AFTER": "3600"}
"""Nobody consumes here what is sent: that is no reason to send it again."""

pytestmark = pytest.mark.postgresql


@pytest.fixture
def publish(messages) -> Callable[[int], object]:
    """Commits so many messages."""
    return lambda count: messages(count, CONSUMER)


@pytest.fixture
def broker_proxy(broker: Redis) -> Iterator[Proxy]:
    """Between a process and the broker."""
    with Proxy(servers.SERVERS.broker_url) as proxy:
        yield proxy


@pytest.fixture
def database_proxy(platform: Platform) -> Iterator[Proxy]:
    """Between a process and the database."""
    with Proxy(platform.env["DATABASE_URL"]) as proxy:
        yield proxy


@pytest.fixture
def relay(platform: Platform, broker_proxy: Proxy, publish: Callable[[int], object]) -> Process:
    """A relay that speaks to its broker through the proxy, and has done so already."""
    platform.env |= PATIENT
    process = platform.manage("relay", BROKER_URL=broker_proxy.url).wait_for(RUNNING)
    publish(1)
    wait_until(lambda: states() == {Status.SENT: 1}, "the relay to send")
    return process


def states() -> Counter[str]:
    """How many messages are in which state."""
    return Counter(Message.objects.values_list("status", flat=True))


def arrived(broker: Redis) -> int:
    """Messages in the queue, of every priority."""
    return sum(int(broker.llen(key)) for key in broker.keys("default*"))


def seconds_to_end(process: Process) -> float:
    """How long a SIGTERM takes."""
    began = time.monotonic()
    assert process.stop() == 0
    return time.monotonic() - began


def test_a_relay_ends_though_the_broker_hangs(
    relay: Process, broker_proxy: Proxy, publish: Callable[[int], object]
) -> None:
    """SIGTERM is obeyed within seconds, and what it held is free at once, no attempt spent."""
    broker_proxy.hang()
    publish(50)
    wait_until(lambda: states()[Status.PROCESSING] == 50, "the relay to claim")
    assert seconds_to_end(relay) < STOP_GRACE + PROMPT
    assert set(Message.objects.exclude(status=Status.SENT).values_list("status", "attempts")) == {
        (Status.PENDING, 0)
    }


def test_a_second_signal_ends_it_at_once(
    relay: Process, broker_proxy: Proxy, publish: Callable[[int], object]
) -> None:
    """Whoever is in a hurry waits for nothing; the lease brings back what it held."""
    broker_proxy.hang()
    publish(50)
    wait_until(lambda: states()[Status.PROCESSING] == 50, "the relay to claim")
    began = time.monotonic()

    def has_ended() -> bool:
        relay.popen.terminate()
        return relay.popen.poll() is not None

    wait_until(has_ended, "the relay to end")
    assert relay.popen.returncode in (
        128 + signal.SIGTERM,
        -signal.SIGTERM,
    )  # a third one may come as it ends
    assert time.monotonic() - began < PROMPT


def test_a_stop_finishes_the_batch_in_hand_and_gives_the_rest_back(
    relay: Process, broker_proxy: Proxy, broker: Redis, publish: Callable[[int], object]
) -> None:
    """What is on its way to the broker is sent and settled; what is claimed beyond it is free for others."""
    broker_proxy.delay = 0.1  # for each piece: time for the signal to come in the middle
    broker.flushall()
    publish(5000)
    wait_until(lambda: arrived(broker), "the relay to send")
    assert seconds_to_end(relay) < STOP_GRACE + PROMPT
    found = states()
    sent = found[Status.SENT] - 1
    assert sent in range(1000, 4001, 1000)
    assert found[Status.PENDING] == 5000 - sent
    assert found[Status.PROCESSING] == 0
    assert arrived(broker) == sent
    assert set(Message.objects.filter(status=Status.PENDING).values_list("attempts", flat=True)) == {0}


def test_an_idle_relay_ends_at_once(relay: Process) -> None:
    """Though it waits for news."""
    assert seconds_to_end(relay) < PROMPT


def test_a_broker_that_comes_back_is_used_again(
    relay: Process, broker_proxy: Proxy, publish: Callable[[int], object]
) -> None:
    """By itself: nobody restarts anything."""
    broker_proxy.refuse()
    publish(50)
    relay.wait_for("The broker is away")
    broker_proxy.heal()
    wait_until(lambda: states() == {Status.SENT: 51}, "the relay to send what has waited")


@pytest.mark.parametrize("outage", ["cut", "refuse"])
def test_a_database_that_is_away_is_waited_for(
    platform: Platform, database_proxy: Proxy, broker: Redis, publish: Callable[[int], object], outage: str
) -> None:
    """In the middle of a drain, again and again: everything is sent in the end, and the relay still runs."""
    publish(5000)
    relay = platform.manage("relay", DATABASE_URL=database_proxy.url, **PATIENT).wait_for(RUNNING)
    for share in (1, 2, 3):
        sent = f"{share}000 to be sent"
        wait_until(lambda share=share: states()[Status.SENT] >= share * 1000, sent, timeout=60)
        wait_until(lambda: database_proxy.connections, "the relay to be there again")
        getattr(database_proxy, outage)()
        database_proxy.heal()
    wait_until(lambda: states() == {Status.SENT: 5000}, "all to be sent", timeout=60)
    assert database_proxy.hits >= 3
    assert arrived(broker) >= 5000
    assert seconds_to_end(relay) < PROMPT


def test_a_database_server_that_crashes_is_waited_for(
    relay: Process, broker: Redis, publish: Callable[[int], object]
) -> None:
    """An immediate stop with recovery: what was committed is sent, and a later publish is, too."""
    publish(3000)
    connections.close_all()
    servers.SERVERS.postgres.restart(mode="immediate")
    wait_until(lambda: states() == {Status.SENT: 3001}, "the relay to send what was committed", timeout=60)
    publish(1)
    wait_until(lambda: states() == {Status.SENT: 3002}, "the relay to send what was committed later")
    assert "The database is away" in relay.output or "Not listening" in relay.output  # whichever it was at


def test_health_is_that_of_what_it_needs(
    platform: Platform, database_proxy: Proxy, broker_proxy: Proxy
) -> None:
    """Orders are taken without a broker, so the web is healthy then; without the database it is not."""
    url = f"http://127.0.0.1:{free_port()}"
    argv = ("granian", "--interface", "asginl", "project.asgi:application", "--port", url.rpartition(":")[2])
    platform.start("web", *argv, DATABASE_URL=database_proxy.url, BROKER_URL=broker_proxy.url)
    wait_until(lambda: answers(f"{url}/healthz"), "the web to answer")
    broker_proxy.refuse()
    assert answers(f"{url}/healthz")
    database_proxy.refuse()
    away = httpx.get(f"{url}/healthz", trust_env=False)
    assert (away.status_code, away.json()) == (503, {"status": "unavailable", "database": "away"})
    database_proxy.heal()
    wait_until(lambda: answers(f"{url}/healthz"), "the web to be healthy again")

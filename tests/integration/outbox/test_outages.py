"""The broker goes away, in all its ways: a relay gives back what it holds, spends nothing, and resumes by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from celery import Celery
from django.conf import settings as django_settings
from django.db.models.functions import Now
from redis import Redis

from outbox.conf import conf
from outbox.health import LATE, findings
from outbox.models import Attempt, Message, Status
from outbox.relay.batch import Round
from outbox.relay.engine import Relay
from outbox.transports.celery import CeleryTransport
from tests.harness.proxy import Proxy
from tests.harness.statements import statements_of_all_threads


def arrived(broker: Redis) -> int:
    """Messages in the queue, of every priority."""
    return sum(int(broker.llen(key)) for key in broker.keys("default*"))


@pytest.fixture
def proxy(broker: Redis) -> Iterator[Proxy]:
    """Between the relay and the broker."""
    with Proxy(django_settings.BROKER_URL) as made:
        yield made


@pytest.fixture
def relay(proxy: Proxy) -> Iterator[Relay]:
    """A relay that sends through the proxy, and finds a broker that hangs for half a second to be away."""
    app = Celery(set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    patience = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
    app.conf.update(
        broker_url=proxy.url,
        broker_transport_options=django_settings.CELERY_BROKER_TRANSPORT_OPTIONS | patience,
    )
    made = Relay(CeleryTransport(app), name="r1")
    yield made
    made.close()
    app.close()


@contextmanager
def refused(proxy: Proxy, broker: Redis) -> Iterator[None]:
    """Nobody listens."""
    proxy.refuse()
    yield
    proxy.heal()


@contextmanager
def hanging(proxy: Proxy, broker: Redis) -> Iterator[None]:
    """It takes connections and does not answer."""
    proxy.hang()
    yield
    proxy.heal()


@contextmanager
def reset_in_the_batch(proxy: Proxy, broker: Redis) -> Iterator[None]:
    """Half of the batch gets through, then the connection is reset."""
    proxy.reset_after(20_000)
    yield
    proxy.heal()


@contextmanager
def answer_lost(proxy: Proxy, broker: Redis) -> Iterator[None]:
    """The whole batch arrives, and the answer to it does not."""
    proxy.lose_answer(b":100\r\n")
    yield
    proxy.heal()


@contextmanager
def read_only(proxy: Proxy, broker: Redis) -> Iterator[None]:
    """It has become a replica of a master that is away."""
    broker.config_set("replica-read-only", "yes")
    broker.replicaof("127.0.0.1", 9)
    try:
        yield
    finally:
        broker.replicaof("NO", "ONE")


@contextmanager
def out_of_memory(proxy: Proxy, broker: Redis) -> Iterator[None]:
    """It refuses every write."""
    broker.config_set("maxmemory", 1)
    try:
        yield
    finally:
        broker.config_set("maxmemory", 0)


OUTAGES = [refused, hanging, reset_in_the_batch, answer_lost, read_only, out_of_memory]


@pytest.mark.parametrize("connected", [False, True], ids=["unconnected", "connected"])
@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.__name__)
def test_an_outage_costs_time_and_nothing_else(
    messages, relay: Relay, proxy: Proxy, broker: Redis, outage: Callable, connected: bool
) -> None:
    """The breaker opens, the claims go back with their attempts, and the same relay sends them all when it is over."""
    if connected:
        messages(1)
        assert relay.run_once().sent == 1
        broker.flushall()
    ids = messages(100)
    with outage(proxy, broker):
        assert relay.run_once() == Round(claimed=100, released=100)
        assert relay.breaker.is_open
        assert relay.run_once() == Round()
    assert set(Message.objects.filter(pk__in=ids).values_list("status", "attempts", "last_error")) == {
        (Status.PENDING, 0, "")
    }
    relay.breaker.open_until = 0
    assert relay.run_once() == Round(claimed=100, sent=100)
    assert not relay.breaker.is_open
    assert not Attempt.objects.exists()
    may_have_arrived = (hanging, answer_lost)
    assert arrived(broker) == 100 or (arrived(broker) == 200 and outage in may_have_arrived)


def test_each_failure_makes_the_next_pause_longer(messages, relay: Relay, proxy: Proxy) -> None:
    """Up to the setting's cap; the first success ends it."""
    messages(1)
    proxy.refuse()
    pauses = []
    for _ in range(12):
        relay.breaker.open_until = 0
        relay.run_once()
        pauses.append(relay.breaker.remaining)
    assert pauses[0] < 2
    assert pauses[0] < pauses[3] < pauses[6]
    assert max(pauses) <= conf().BREAKER_CAP
    proxy.heal()
    relay.breaker.open_until = 0
    assert relay.run_once().sent == 1
    assert relay.breaker.remaining == 0


def test_only_a_bounded_time_passes_with_a_broker_that_hangs(messages, relay: Relay, proxy: Proxy) -> None:
    """The client's time-outs end the wait, long before the lease does."""
    messages(3)
    proxy.hang()
    began = time.monotonic()
    assert relay.run_once().released == 3
    assert time.monotonic() - began < conf().LEASE / 3


@pytest.mark.postgresql
def test_health_says_that_nothing_is_sent(messages, relay: Relay, proxy: Proxy) -> None:
    """Not at the first failure, but once a message is late; and no longer when it was sent."""
    (late, _) = messages(2)
    proxy.refuse()
    relay.run_once()
    assert findings() == []
    Message.objects.filter(pk=late).update(next_attempt_at=Now() - timedelta(seconds=LATE + 5))
    assert [finding.name for finding in findings()] == ["delivery_late"]
    proxy.heal()
    relay.breaker.open_until = 0
    assert relay.run_once().sent == 2
    assert findings() == []


@pytest.mark.postgresql
def test_what_a_thousand_messages_cost(messages, relay: Relay, proxy: Proxy) -> None:
    """At the default batch: four round trips to the broker and a dozen statements, whatever the machine."""
    messages(1)
    relay.run_once()
    messages(2 * conf().BATCH_SIZE)
    before = proxy.round_trips
    with statements_of_all_threads() as statements:
        assert relay.drain().sent == 2 * conf().BATCH_SIZE
    assert 1 <= proxy.round_trips - before <= 2 * 4
    assert len(statements) <= 2 * 12

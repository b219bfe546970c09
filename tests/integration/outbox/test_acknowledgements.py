"""A worker acknowledges what it has done a moment later and together, with a real broker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.concurrency.prefork import TaskPool
from kombu import Connection, Consumer, Queue

from outbox.bootsteps import PAUSE, AcksTogether, OneClient
from outbox.models import Message
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox import sample

QUEUE = Queue("acknowledged", routing_key="acknowledged")
Planned = list[tuple[float, Callable[[], None]]]


@pytest.fixture
def channel(broker: Any) -> Iterator[Any]:
    """A channel of kombu's to the real broker."""
    with Connection(os.environ["BROKER_URL"]) as connection:
        yield connection.default_channel


def received(channel: Any, count: int) -> list[Any]:
    """So many messages, taken from the queue and not acknowledged."""
    messages: list[Any] = []
    with Consumer(channel, [QUEUE], callbacks=[lambda _, message: messages.append(message)]):
        for number in range(count):
            channel.connection.client.Producer().publish({"n": number}, routing_key="acknowledged")
            channel.connection.client.drain_events(timeout=5)
    return messages


def worker_on(channel: Any, planned: Planned, pool: Any = TaskPool) -> SimpleNamespace:
    """What a step of a worker's consumer is told of it."""
    hub = SimpleNamespace(call_later=lambda seconds, call: planned.append((seconds, call)))
    pool = pool.__new__(pool)
    return SimpleNamespace(
        hub=hub,
        pool=pool,
        task_consumer=SimpleNamespace(channel=channel),
        connection=object(),
        connection_errors=(OSError,),
        channel_errors=(),
    )


def test_many_acknowledgements_are_one_exchange(channel: Any, broker: Any) -> None:
    """At once for the worker, which may take the next message; a moment later for the broker, all together."""
    planned: Planned = []
    AcksTogether(None).start(worker_on(channel, planned))
    channel.basic_qos(0, 3, True)
    messages = received(channel, 3)
    assert not channel.qos.can_consume()
    for message in messages:
        message.ack()
    assert channel.qos.can_consume()
    assert (broker.hlen("unacked"), broker.zcard("unacked_index")) == (3, 3)
    ((seconds, send),) = planned
    before = broker.info("stats")["total_commands_processed"]
    send()
    assert seconds == PAUSE
    assert (broker.hlen("unacked"), broker.zcard("unacked_index")) == (0, 0)
    assert broker.info("stats")["total_commands_processed"] - before < 12


def test_the_end_sends_what_waits(channel: Any, broker: Any) -> None:
    """And what is acknowledged after it is sent at once: nothing would come to send it."""
    worker = worker_on(channel, planned := [])
    step = AcksTogether(None)
    step.start(worker)
    first, second = received(channel, 2)
    first.ack()
    step.stop(worker)
    assert broker.hlen("unacked") == 1
    second.ack()
    assert broker.hlen("unacked") == 0
    step.stop(worker)
    for _, send in planned:
        send()


def test_what_could_not_be_told_is_told_on_the_next_connection(channel: Any, broker: Any) -> None:
    """A consumer stops without a connection, once that is lost; nothing that was done is delivered again."""
    step = AcksTogether(None)
    worker = worker_on(channel, [])
    step.start(worker)
    for message in received(channel, 2):
        message.ack()
    channel.connection.client.close()
    worker.connection = None
    step.stop(worker)
    assert broker.hlen("unacked") == 2
    with Connection(os.environ["BROKER_URL"]) as connection:
        step.start(worker_on(connection.default_channel, planned := []))
        ((_, send),) = planned
        send()
    assert broker.hlen("unacked") == 0


def test_what_the_broker_refused_is_tried_again(channel: Any, broker: Any) -> None:
    """Not every error ends the connection: such as one of a server that may not write for a moment."""
    AcksTogether(None).start(worker_on(channel, planned := []))
    (message,) = received(channel, 1)
    broker.set("unacked_index", "no sorted set")
    message.ack()
    planned[0][1]()
    assert len(planned) == 2
    broker.delete("unacked_index")
    planned[1][1]()
    assert len(planned) == 2
    assert broker.hlen("unacked") == 0


def test_a_channel_whose_connection_is_lost_gives_back_what_it_holds(channel: Any, broker: Any) -> None:
    """It has no pool any more, and cannot make one: an error of that would end the worker instead of the connection."""
    OneClient(None).start(worker_on(channel, []))
    received(channel, 1)
    channel.connection.client = None  # what Celery does before it closes
    channel._disconnect_pools()
    channel.close()
    assert (broker.hlen("unacked"), broker.llen("acknowledged")) == (0, 1)


def test_other_brokers_are_left_alone() -> None:
    """Their channels acknowledge in ways of their own."""
    AcksTogether(None).start(worker_on(SimpleNamespace(), []))


def test_pools_that_acknowledge_in_threads_are_left_alone(channel: Any) -> None:
    """The loop is the main thread's."""
    AcksTogether(None).start(worker_on(channel, [], pool=object))
    assert "ack" not in vars(channel.qos)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stops_leaves_nothing_unacknowledged(platform: Platform, broker: Any) -> None:
    """Not the tasks of its last moment either."""
    worker = platform.worker("default", concurrency=1, include=sample.__name__, OUTBOX_WAKE_UP="")
    for number in range(20):
        sample.add.apply_async((number, 1), queue="default")
    relay = platform.manage("relay")
    wait_until(lambda: not Message.objects.filter(consumed_at=None).exists(), "all to be done")
    worker.stop()
    relay.stop()
    assert (broker.hlen("unacked"), broker.zcard("unacked_index")) == (0, 0)

"""The Celery transport on a real broker: one poison row never stops the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from redis import Redis
from redis.exceptions import ResponseError

from outbox.exceptions import BrokerUnavailable
from outbox.models import Attempt, Message, Status
from outbox.relay.batch import Round
from outbox.relay.engine import Relay
from outbox.transports import redis_lists
from outbox.transports.celery import CeleryTransport


@pytest.fixture
def relay(broker: Redis) -> Iterator[Relay]:
    """A relay to the real broker."""
    made = Relay(CeleryTransport())
    yield made
    made.close()


def poison(columns: dict[str, object], ids: list) -> None:
    """Make the middle one of three messages a bad one."""
    assert Message.objects.filter(pk=ids[1]).update(**columns) == 1


STORED = {"headers": {"task": "sample.add", "id": "x"}}
DURABLE = {"args": [], "kwargs": {}, "embed": {}}


@pytest.mark.parametrize(
    "columns",
    [
        {"queue": "a hash", "priority": 0},
        {
            "payload": DURABLE,
            "headers": {"celery": {**STORED, "options": {"compression": "nope", "routing_key": "q"}}},
        },
        {"payload": DURABLE, "headers": {"celery": {**STORED, "options": {"body": "x"}}}},
        {"payload": DURABLE, "headers": {"celery": {**STORED, "options": {"priority": "high"}}}},
        {"headers": {"celery": 1}},
        {"headers": ["a list"]},
        {"payload": ["a list"]},
        {"payload": {"much": "x" * 4_000_001}},
        {"type": "nobody.knows", "consumer": "nobody.knows"},
    ],
    ids=[
        "wrong-kind-of-key",
        "compression",
        "options",
        "priority",
        "stored",
        "headers",
        "payload",
        "size",
        "type",
    ],
)
def test_a_poison_row_is_isolated_with_its_error(
    messages, relay: Relay, broker: Redis, columns: dict
) -> None:
    """The bad one fails with its own error; the good ones are sent, and settled."""
    broker.hset("a hash", "field", "value")
    ids = messages(3)
    poison(columns, ids)
    done = relay.run_once()
    assert (done.claimed, done.sent, done.failed) == (3, 2, 1)
    bad = Message.objects.get(pk=ids[1])
    assert bad.status in (Status.PENDING, Status.FAILED)
    assert bad.last_error
    assert not relay.breaker.is_open


def test_a_broker_that_refuses_everything_is_away(messages, relay: Relay, broker: Redis) -> None:
    """Out of memory is the broker's trouble: nothing fails, nothing is lost."""
    ids = messages(3)
    broker.config_set("maxmemory", 1)
    try:
        assert relay.run_once() == Round(claimed=3, released=3)
    finally:
        broker.config_set("maxmemory", 0)
    assert {row.attempts for row in Message.objects.filter(pk__in=ids)} == {0}


def test_a_lone_message_that_can_never_be_sent_does_not_close_the_way(
    messages, relay: Relay, broker: Redis
) -> None:
    """A wrong kind of key is the message's own error however many are sent with it."""
    broker.hset("a hash", "field", "value")
    messages(1, queue="a hash", priority=0)
    assert relay.run_once().failed == 1
    assert not relay.breaker.is_open
    assert "WRONGTYPE" in Message.objects.get().last_error


def test_a_broker_that_refuses_some_for_its_own_reasons_is_away(
    messages, relay: Relay, broker: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that goes out of memory in the middle of a batch costs no message an attempt."""
    ids = messages(3)
    push = redis_lists.push

    def fill_up(channel: Any, envelopes: Any) -> Any:
        push(channel, dict(list(envelopes.items())[:1]))
        broker.config_set("maxmemory", 1)
        return push(channel, envelopes)

    monkeypatch.setattr(redis_lists, "push", fill_up)
    try:
        assert relay.run_once() == Round(claimed=3, released=3)
    finally:
        broker.config_set("maxmemory", 0)
    assert {row.attempts for row in Message.objects.filter(pk__in=ids)} == {0}
    assert not Attempt.objects.exists()


@pytest.mark.parametrize(
    ("code", "is_the_brokers", "is_the_messages"),
    [
        ("OOM", True, False),
        ("READONLY", True, False),
        ("MASTERDOWN", True, False),
        ("CLUSTERDOWN", True, False),
        ("MISCONF", True, False),
        ("NOREPLICAS", True, False),
        ("BUSY", True, False),
        ("WRONGTYPE", False, True),
        ("ERR", False, False),
    ],
)
def test_an_answer_says_whose_trouble_it_is(
    broker: Redis, code: str, is_the_brokers: bool, is_the_messages: bool
) -> None:
    """By its first word, as the client library hands it over, alone or in a pipeline."""
    say = f"return redis.error_reply('{code} as the server words it')"
    pipeline = broker.pipeline(transaction=False)
    pipeline.eval(say, 0)
    for ask in (lambda: broker.eval(say, 0), pipeline.execute):
        with pytest.raises(ResponseError) as raised:
            ask()
        assert redis_lists.is_the_brokers(raised.value) == is_the_brokers
        assert redis_lists.is_the_messages(raised.value) == is_the_messages


def test_a_refused_connection_is_a_broker_that_is_away(messages) -> None:
    """With its reason, and quickly."""
    nowhere = Celery(broker="redis://127.0.0.1:9/0", set_as_current=False)
    transport = CeleryTransport(nowhere)
    from outbox import claims

    messages(1)
    with pytest.raises(BrokerUnavailable, match="away"):
        transport.send(claims.claim(1).messages)

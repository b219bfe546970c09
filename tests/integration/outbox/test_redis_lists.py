"""What we write onto Redis's lists is what kombu writes there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import current_app
from kombu.exceptions import BatchPublishError

from outbox.claims import Claimed
from outbox.transports import redis_lists
from outbox.transports.envelope import Envelope, render

OPTIONS = {
    "content_type": "application/json",
    "content_encoding": "utf-8",
    "exchange": "",
    "delivery_mode": 2,
}


@pytest.fixture
def producer() -> Iterator[Any]:
    """kombu's own, as the transport makes it."""
    connection = current_app.connection_for_write()
    yield current_app.amqp.Producer(connection, auto_declare=False)
    connection.release()


def taken(broker: redis.Redis) -> dict[str, list[dict[str, Any]]]:
    """What lies on the lists, the delivery tags taken off; the lists are emptied."""
    found = {}
    for key in sorted(broker.scan_iter(_type="list")):
        messages = [json.loads(text) for text in broker.lrange(key, 0, -1)]
        tags = {message["properties"].pop("delivery_tag") for message in messages}
        assert len(tags) == len(messages)
        found[key.decode()] = messages
    broker.flushall()
    return found


def claimed(**columns: Any) -> Claimed:
    """A command's row as a relay has it."""
    row: dict[str, Any] = {
        "id": uuid4(),
        "type": "celery.backend_cleanup",
        "consumer": "celery.backend_cleanup",
        "payload": '{"name": "届け", "n": 1}',
        "headers": "{}",
        "queue": "",
        "priority": 5,
        "attempts": 1,
        "correlation_id": "order-1",
        "tries": 1,
        **columns,
    }
    return Claimed(**row)


def envelopes() -> list[Envelope]:
    """Of all sorts: priorities, queues, and headers in every shape."""
    rows = [claimed(priority=priority, queue=queue) for priority in (0, 3, 5, 9) for queue in ("a", "b")]
    made = [render(current_app, row) for row in rows]
    odd = {"text": 'ü \u2028 " \\ 届', "big": 2**70, "float": 1e-7, "none": None, "deep": [{"a": [True, {}]}]}
    made.append(Envelope("[[], {}, {}]", {**OPTIONS, "routing_key": "c", "headers": odd}))
    made.append(
        Envelope(
            "[[1], {}, {}]", {**OPTIONS, "routing_key": "c", "headers": {}, "reply_to": "r", "priority": 12}
        )
    )
    return made


def test_it_writes_what_kombu_writes(broker: redis.Redis, producer: Any) -> None:
    """The same lists, in the same order, with the same messages on them."""
    for envelope in envelopes():
        producer.publish(envelope.body, **envelope.options)
    expected = taken(broker)
    assert redis_lists.serves(producer.channel)
    assert all(redis_lists.takes(envelope) for envelope in envelopes())
    assert redis_lists.push(producer.channel, dict(enumerate(envelopes()))) == {}
    written = taken(broker)
    assert _without_ids(written) == _without_ids(expected)


@pytest.mark.parametrize("option", [{"exchange": "topics"}, {"compression": "gzip"}, {"expiration": 5.0}])
def test_what_needs_more_is_left_to_kombu(option: dict[str, Any]) -> None:
    """Exchanges, compression and expiry are kombu's."""
    assert not redis_lists.takes(Envelope("[]", {**OPTIONS, "routing_key": "a", "headers": {}, **option}))


def test_a_refusal_says_that_the_batch_is_uncertain(broker: redis.Redis, producer: Any) -> None:
    """As kombu's own batches say it, so that the transport finds out what was refused."""
    broker.set("b", "no list")
    with pytest.raises(BatchPublishError) as raised:
        redis_lists.push(
            producer.channel, {1: Envelope("[]", {**OPTIONS, "routing_key": "b", "headers": {}})}
        )
    assert isinstance(raised.value.__cause__, redis.ResponseError)


def _without_ids(lists: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Two renderings of the same rows differ in their ids only."""
    for messages in lists.values():
        for message in messages:
            message["properties"].pop("correlation_id", None)
            for name in ("id", "root_id"):
                message["headers"].pop(name, None)
    return lists

"""How rows look as Celery messages."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from celery import current_app

from outbox.claims import Claimed
from outbox.exceptions import PermanentError, UnknownType
from outbox.transports.envelope import render
from tests.integration.outbox import sample  # noqa: F401  (declares the sample events and tasks)


def row(**columns: object) -> Claimed:
    """A claimed row."""
    defaults = {
        "id": uuid4(),
        "type": "sample.add",
        "consumer": "sample.add",
        "payload": '{"a": 1}',
        "headers": "{}",
        "queue": "",
        "priority": 5,
        "attempts": 2,
        "correlation_id": "order-1",
        "tries": 2,
    }
    return Claimed(**{**defaults, **columns})  # type: ignore[arg-type]


def test_the_payload_becomes_the_tasks_arguments() -> None:
    """The row's id is the task's id, the payload its keyword arguments, the attempt travels along."""
    message = row(headers='{"traceparent": "00-a"}')
    envelope = render(current_app, message)
    headers = envelope.options["headers"]
    assert json.loads(envelope.body)[:2] == [[], {"a": 1}]
    assert (headers["task"], headers["id"], headers["retries"]) == ("sample.add", str(message.id), 1)
    assert (headers["outbox_attempt"], headers["outbox_correlation_id"]) == (2, "order-1")
    assert headers["traceparent"] == "00-a"
    assert envelope.options["routing_key"] == "default"


def test_a_subscribers_own_queue_is_used_unless_the_row_names_one() -> None:
    """The row's queue wins over the task's."""
    assert render(current_app, row(consumer="orders.payment.charge")).options["routing_key"] == "payment"
    assert render(current_app, row(queue="special")).options["routing_key"] == "special"


def test_a_row_without_a_consumer_goes_to_every_subscriber() -> None:
    """What was inserted by hand is distributed to whoever subscribes to its type."""
    envelope = render(current_app, row(type="sample.thing_happened", consumer=""))
    assert envelope.options["headers"]["task"] == "outbox.distribute"


def test_a_type_that_nobody_handles_says_what_was_probably_meant() -> None:
    """An unknown type is a permanent error with a suggestion."""
    with pytest.raises(UnknownType, match=r"Did you mean 'orders\.order_placed'"):
        render(current_app, row(type="orders.order_place", consumer=""))


@pytest.mark.parametrize("payload", ["[1]", '"text"', "null", "3"])
def test_a_payload_that_is_no_object_is_a_permanent_error(payload: str) -> None:
    """Its members are the consumer's arguments; there is nothing to be done with anything else."""
    with pytest.raises(PermanentError, match="JSON object"):
        render(current_app, row(payload=payload))

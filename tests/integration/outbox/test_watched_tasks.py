"""What Flower and other watchers get to see of a task: its arguments, without personal data."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from redis import Redis

from outbox.api import publish
from outbox.redaction import HIDDEN, shown_to_watchers
from outbox.relay.engine import Relay
from tests.harness.processes import Platform
from tests.harness.waiting import wait_until
from tests.integration.outbox import watched

NAME, PLACE, ADDRESS = "Ada Lovelace", "12 St James's Square", "ada@example.org"


@pytest.fixture
def relay(transactional_db: None, broker: Redis) -> Iterator[Relay]:
    """A relay to the real broker."""
    made = Relay()
    yield made
    made.close()


def call_and_publish() -> None:
    """A task with the name among its positional arguments, one with it by name, an event; each has the letter's id."""
    with transaction.atomic():
        watched.write.apply_async(("letter-1", NAME), {"text": f"Answer to {ADDRESS}"}, queue="watched")
        watched.write.apply_async((), {"letter": "letter-2", "recipient": NAME}, queue="watched")
        publish(watched.Moved("letter-3", PLACE))


def queued(broker: Redis) -> list[tuple[dict[str, Any], str]]:
    """Headers and body of each message in the queue, which is a list for each priority."""
    found = [json.loads(raw) for key in broker.keys("watched*") for raw in broker.lrange(key, 0, -1)]
    return [(one["headers"], base64.b64decode(one["body"]).decode()) for one in found]


def test_the_broker_gets_representations_without_personal_data(relay: Relay, broker: Redis) -> None:
    """The headers that watchers show hide what is declared, wherever it stands; the consumer gets all of it."""
    call_and_publish()
    relay.turn()

    messages = queued(broker)
    assert len(messages) == 3
    shown = json.dumps([headers for headers, _body in messages], ensure_ascii=False)
    for personal in (NAME, PLACE, ADDRESS):
        assert personal not in shown
        assert any(json.dumps(personal)[1:-1] in body for _headers, body in messages)
    for known in ("letter-1", "letter-2", "letter-3", "Answer to"):
        assert known in shown
    assert shown.count(HIDDEN) == 4


def test_a_representation_of_the_callers_own_stays(relay: Relay, broker: Redis) -> None:
    """Who calls with ``argsrepr`` has said what is to be shown."""
    watched.write.apply_async(("letter-1", NAME), queue="watched", argsrepr="(a letter)")
    relay.turn()

    ((headers, _body),) = queued(broker)
    assert headers["argsrepr"] == "(a letter)"


def test_nothing_is_looked_at_where_nothing_can_be_personal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of plain parameters whose names say nothing personal the payload is passed on unread, as the same object."""
    monkeypatch.setattr("outbox.redaction.json.loads", lambda _text: pytest.fail("It was parsed."))
    payload = '{"number": 1}'

    assert shown_to_watchers("watched.count", payload, consumer="watched.count") is payload


def test_what_the_class_no_longer_has_is_hidden(settings) -> None:
    """A row of an older version, or one that somebody wrote by hand, may hold more than today's signature says."""
    settings.OUTBOX = {**settings.OUTBOX, "PERSONAL_FIELDS": ("phone",)}
    shown = shown_to_watchers(
        "watched.count", '{"number": 1, "phone": "+49 30 1234"}', consumer="watched.count"
    )

    assert json.loads(shown) == {"number": 1, "phone": HIDDEN}


def test_a_workers_events_are_free_of_personal_data(platform: Platform, relay: Relay) -> None:
    """What a real worker announces, and Flower listens to, names the tasks and hides the people."""
    argv = ("celery", "-A", "project", "worker", "-I", "tests.integration.outbox.watched", "-Q", "watched")
    platform.start("watched", *argv, "-E", "-c", "1", "--loglevel=INFO").wait_for(" ready.")
    heard: list[dict[str, Any]] = []
    with current_app.connection_for_read() as connection:
        receiver = current_app.events.Receiver(connection, handlers={"*": heard.append})
        with receiver.consumer_context() as (channel, _own, _consumers):

            def succeeded() -> int:
                with suppress(TimeoutError):
                    channel.drain_events(timeout=0.2)
                return sum(event["type"] == "task-succeeded" for event in heard)

            call_and_publish()
            relay.turn()
            wait_until(lambda: succeeded() == 3, "the tasks to succeed")

    told = [event for event in heard if event["type"] == "task-received"]
    assert {event["name"] for event in told} == {"watched.write", "watched.note_it"}
    for personal in (NAME, PLACE, ADDRESS):
        assert personal not in str([(event["args"], event["kwargs"]) for event in told])
    assert "letter-1" in str(told)

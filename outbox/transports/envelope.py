"""How a row looks as a Celery message (task protocol 2)."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

from celery import Celery
from celery.utils.nodenames import anon_nodename

from outbox.claims import Claimed
from outbox.events import known_types, unknown_type
from outbox.exceptions import PermanentError
from outbox.subscriptions import subscribers_of

DISTRIBUTE = "outbox.distribute"
"""The task that gives a row without a consumer to every subscriber of its type."""

NO_EMBED = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
ORIGIN = anon_nodename()
LARGEST_PAYLOAD = 4_000_000
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}


class Envelope(NamedTuple):
    """A message as ``kombu.Producer.publish`` takes it."""

    body: str
    options: dict[str, Any]


def render(app: Celery, message: Claimed) -> Envelope:
    """The Celery message of a row.

    Raises:
        UnknownType: neither a task nor an event with subscribers has this name.
        PermanentError: the payload is not a JSON object.
    """
    headers = json.loads(message.headers)
    if not isinstance(headers, dict):
        raise PermanentError("The headers must be a JSON object.")
    if len(message.payload) > LARGEST_PAYLOAD:
        raise PermanentError(
            f"The payload has more than {LARGEST_PAYLOAD:,} characters: keep large data elsewhere."
        )
    stored = headers.get("celery")
    return _stored(message, headers, stored) if stored else _plain(app, message, headers)


def _stored(message: Claimed, headers: dict[str, Any], stored: dict[str, Any]) -> Envelope:
    """A durable task: the message that Celery itself had made, kept until now."""
    payload = json.loads(message.payload)
    body = json.dumps([payload["args"], payload["kwargs"], payload["embed"]])
    options = {**JSON, **stored["options"], "headers": {**stored["headers"], **_ours(message, headers)}}
    return Envelope(body, options)


def _plain(app: Celery, message: Claimed, headers: dict[str, Any]) -> Envelope:
    """An event or a command: the payload is the task's keyword arguments, spliced in as it is."""
    if not message.payload.startswith("{"):
        raise PermanentError("The payload must be a JSON object: its members are the consumer's arguments.")
    task = _consumer(app, message)
    kwargs = "{}" if task == DISTRIBUTE else message.payload
    id_ = str(message.id)
    celery_headers = {
        "lang": "py",
        "task": task,
        "id": id_,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": message.tries - 1,
        "timelimit": [None, None],
        "root_id": id_,
        "parent_id": None,
        "argsrepr": "()",
        "kwargsrepr": kwargs,
        "origin": ORIGIN,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        **_ours(message, headers),
    }
    options = {
        **JSON,
        "exchange": "",
        "routing_key": message.queue or queue_of(app, task),
        "priority": message.priority,
        "correlation_id": id_,
        "delivery_mode": 2,
        "headers": celery_headers,
    }
    return Envelope(f"[[], {kwargs}, {NO_EMBED}]", options)


def _ours(message: Claimed, headers: dict[str, Any]) -> dict[str, Any]:
    """What the consumer's half needs: the attempt is the delivery's fence."""
    return {
        "outbox_attempt": message.attempts,
        "outbox_tries": message.tries,
        "outbox_correlation_id": message.correlation_id,
        **({"traceparent": headers["traceparent"]} if "traceparent" in headers else {}),
    }


def _consumer(app: Celery, message: Claimed) -> str:
    name = message.consumer or message.type
    if name in app.tasks:
        return name
    if not message.consumer and subscribers_of(message.type):
        return DISTRIBUTE
    raise unknown_type(name, [*known_types(), *(t for t in app.tasks if not t.startswith("celery."))])


@lru_cache(maxsize=1024)
def queue_of(app: Celery, task: str) -> str:
    """The queue that a task is sent to, from its own options or the application's routes."""
    own = getattr(app.tasks.get(task), "home_queue", "")
    return own or str(app.amqp.router.route({}, task)["queue"].name)

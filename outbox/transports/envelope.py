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
from outbox.models.message import DISTRIBUTE
from outbox.redaction import shown_to_watchers
from outbox.subscriptions import VERSION_HEADER, subscribers_of

NO_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
NO_EMBED_TEXT = json.dumps(NO_EMBED)
BEFORE_KWARGS = '], "kwargs": {'
ORIGIN = anon_nodename()
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
USUAL_HEADERS: dict[str, Any] = {
    "lang": "py",
    "shadow": None,
    "eta": None,
    "expires": None,
    "group": None,
    "group_index": None,
    "retries": 0,
    "timelimit": [None, None],
    "parent_id": None,
    "replaced_task_nesting": 0,
    "ignore_result": False,
    "stamped_headers": None,
    "stamps": {},
}
"""What Celery puts into most messages: a row keeps only what differs from it."""
USUAL_OPTIONS = {**JSON, "exchange": "", "delivery_mode": 2}
LARGEST_PAYLOAD = 4_000_000


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
    options = _options(
        message, message.queue, _headers(message, message.consumer, headers, stored["headers"])
    )
    options.update(stored.get("options", ()))
    return Envelope(_body(message.payload), options)


def _body(payload: str) -> str:
    """``[args, kwargs, embed]`` of a payload, cut out of its text where that is safe: parsing costs four times more.

    What stands between ``args`` and ``kwargs`` may also occur inside of them; found once, it is the one between. Inside
    a JSON string it would be spelt with other quotes.
    """
    args, found, kwargs = payload.partition(BEFORE_KWARGS)
    if found and args.startswith('{"args": [') and BEFORE_KWARGS not in kwargs and '"embed": ' not in payload:
        return f"[{args[9:]}], {{{kwargs[:-1]}, {NO_EMBED_TEXT}]"
    parts = json.loads(payload)
    return json.dumps([parts["args"], parts["kwargs"], {**NO_EMBED, **parts.get("embed", {})}])


def _plain(app: Celery, message: Claimed, headers: dict[str, Any]) -> Envelope:
    """An event or a command: the payload is the task's keyword arguments, spliced in as it is."""
    if not message.payload.startswith("{"):
        raise PermanentError("The payload must be a JSON object: its members are the consumer's arguments.")
    task = _consumer(app, message)
    kwargs = "{}" if task == DISTRIBUTE else message.payload
    own = {
        "retries": message.tries - 1,
        "argsrepr": "()",
        "kwargsrepr": shown_to_watchers(message.type, kwargs, consumer=message.consumer),
        "origin": ORIGIN,
        "ignore_result": bool(app.tasks[task].ignore_result),
    }
    options = _options(message, message.queue or queue_of(app, task), _headers(message, task, headers, own))
    return Envelope(f"[[], {kwargs}, {NO_EMBED_TEXT}]", options)


def _options(message: Claimed, queue: str, headers: dict[str, Any]) -> dict[str, Any]:
    """What ``kombu.Producer.publish`` is told besides the body."""
    return {
        **USUAL_OPTIONS,
        "routing_key": queue,
        "priority": message.priority,
        "correlation_id": headers["id"],
        "headers": headers,
    }


def _headers(message: Claimed, task: str, headers: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Celery's headers and ours: the attempt is the delivery's fence."""
    id_ = str(message.id)
    merged = {**USUAL_HEADERS, "task": task, "id": id_, "root_id": id_}
    if "traceparent" in headers:
        merged["traceparent"] = headers["traceparent"]
    if "version" in headers:
        merged[VERSION_HEADER] = headers["version"]
    merged.update(own)
    merged["outbox_attempt"] = message.attempts
    merged["outbox_tries"] = message.tries
    merged["outbox_correlation_id"] = message.correlation_id
    return merged


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

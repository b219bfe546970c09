"""Celery messages on Redis, as kombu's own transport writes them, a whole batch in one round trip.

kombu takes each message through its layers for brokers that have exchanges. On Redis the end of that is a JSON object
pushed onto a list, and this writes the same object without the way there (three quarters of a relay's work). It takes
only what is certain to look the same: tests compare the two, message by message. All else goes through kombu.
"""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from kombu.exceptions import BatchPublishError
from pydantic_core import to_json
from redis import exceptions
from uuid_utils import uuid4

from outbox.transports.envelope import Envelope

PROPERTIES = frozenset({"correlation_id", "reply_to", "delivery_mode"})
ADDRESS = frozenset({"exchange", "routing_key", "priority", "headers", "content_type", "content_encoding"})
PERSISTENT = 2
BROKERS_OWN = (
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
BROKERS_CODES = frozenset({"OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "MISCONF", "NOREPLICAS", "BUSY"})
"""Answers that concern every message; the first ones also where the client library has no class for them."""

K = TypeVar("K", bound=Hashable)


def serves(channel: Any) -> bool:
    """Whether this is a channel of kombu's Redis transport, with its usual manners."""
    return (
        type(channel).__module__ == "kombu.transport.redis"
        and channel.body_encoding == "base64"
        and not channel._expires
    )


def takes(envelope: Envelope) -> bool:
    """Whether the message goes straight to a list: no exchange to look up, no compression, no expiry."""
    options = envelope.options
    return not options.get("exchange") and options.keys() <= PROPERTIES | ADDRESS


def push(channel: Any, envelopes: Mapping[K, Envelope]) -> dict[K, Exception]:
    """Write messages to their lists, in their order. Returns the errors of those that cannot be written, left out.

    Raises:
        BatchPublishError: as kombu's batches do. Any part of it may have arrived.
    """
    lists: dict[str, list[bytes]] = defaultdict(list)
    errors: dict[K, Exception] = {}
    for id_, envelope in envelopes.items():
        try:
            key, message = _placed(channel, envelope)
            lists[key].append(message)
        except Exception as error:  # noqa: BLE001  (what is stored in a row is this message's own)
            errors[id_] = error
    try:
        with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipeline:
            for key, messages in lists.items():
                pipeline.lpush(key, *messages)
            pipeline.execute()
    except Exception as error:
        raise BatchPublishError("The batch failed; any part of it may have arrived.") from error
    return errors


def is_the_brokers(answer: BaseException | None) -> bool:
    """Whether Redis said no to everybody: it has no memory left, may not write, is not (or no longer) the master.

    Its other troubles (it is loading, or wants a password) are errors of the connection to its client library.
    """
    return isinstance(answer, exceptions.ResponseError) and (
        isinstance(answer, BROKERS_OWN) or _code(answer) in BROKERS_CODES
    )


def is_the_messages(answer: BaseException | None) -> bool:
    """Whether Redis said no to this message: what stands under its queue's name is no list."""
    return isinstance(answer, exceptions.ResponseError) and _code(answer) == "WRONGTYPE"


def _code(answer: exceptions.ResponseError) -> str:
    """The first word of what Redis said; a pipeline puts the command before it."""
    return str(answer).rsplit("caused error: ", 1)[-1].partition(" ")[0]


def _placed(channel: Any, envelope: Envelope) -> tuple[str, bytes]:
    """A message, and the list that it goes to."""
    options = envelope.options
    priority = options.get("priority") or channel.default_priority
    level = min(max(int(priority), channel.min_priority), channel.max_priority)
    return channel._q_for_pri(options["routing_key"], level), _message(envelope, priority)


def _message(envelope: Envelope, priority: int) -> bytes:
    options = envelope.options
    body = envelope.body if isinstance(envelope.body, bytes) else envelope.body.encode()
    properties = {name: options[name] for name in PROPERTIES if name in options}
    return to_json(
        {
            "body": b64encode(body).decode(),
            "content-encoding": options["content_encoding"],
            "content-type": options["content_type"],
            "headers": options["headers"],
            "properties": {
                "delivery_mode": PERSISTENT,
                **properties,
                "delivery_info": {"exchange": "", "routing_key": options["routing_key"]},
                "priority": priority,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )

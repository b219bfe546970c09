"""Events and commands become rows, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from outbox.context import current_context
from outbox.enforcement import require_transaction
from outbox.events import EventType, type_of
from outbox.exceptions import NoSubscriber
from outbox.inserting import ROWS_PER_STATEMENT, insert
from outbox.models.message import DEFAULT_PRIORITY
from outbox.rows import NewMessage
from outbox.scheduling import due_time
from outbox.subscriptions import subscribers_of

__all__ = ["as_json", "build", "insert", "publish", "publish_all", "require_transaction", "send_command"]

to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode
"""Made once: ``json.dumps`` would make an encoder at each call."""


def publish(
    event: object,
    *,
    key: str | None = None,
    correlation_id: str | None = None,
    priority: int = DEFAULT_PRIORITY,
    at: datetime | None = None,
    delay: float | timedelta = 0,
    schedule_key: str | None = None,
    coalesce: bool = False,
) -> list[UUID]:
    """Write an event's messages, one per subscriber, in one INSERT of the caller's transaction.

    Args:
        event: an instance of a class decorated with ``@event``.
        key: each subscriber gets the messages of one key one after the other; by default the value of the field that
            the event is ``ordered_by``, or none.
        correlation_id: what it belongs to; by default that of the work at hand.
        priority: 0 first, 9 last.
        at: when it becomes due, with a time zone.
        delay: when it becomes due: seconds (or a timedelta) from now, by the database's clock.
        schedule_key: the caller's name for it until a relay takes it up. Publishing under a name that waits replaces
            payload and time of the message that waits; :func:`outbox.api.cancel_scheduled` cancels it. Where two
            transactions do so at the same time, the second waits for the first one's end. A message that was taken up
            has lost its name for good, also when it waits once more: the broker was away, or its consumer failed.
        coalesce: where it replaces one that waits, the earlier of the two times holds: a steady stream of changes is
            one message in a while, with the latest payload, and never put off for ever.

    Returns:
        The ids of the messages. Delivery is at least once; effects of transactional subscribers happen once.

    Raises:
        PublishOutsideTransaction: no transaction is open (:class:`WrongDatabase`: it is, on another database).
        NoSubscriber: nobody subscribes and the event is not declared optional.
        InvalidEvent: a field does not have its declared type.
        ValueError: what no row can hold: a time without a time zone, two times, a name too long, a NUL character.

    Not guaranteed: any order between messages without a key; any order between two transactions that publish to one
    key at the same time, unless a lock of their own puts them in one.
    """
    require_transaction(type(event).__name__)
    options = {
        "correlation_id": correlation_id,
        "priority": priority,
        "at": at,
        "delay": delay,
        "schedule_key": schedule_key,
        "coalesce": coalesce,
    }
    return insert(list(_messages(event, key=key, **options)))


def publish_all(events: Iterable[object], *, correlation_id: str | None = None) -> int:
    """Write the messages of many events, of any types, about a thousand rows at a time.

    ``events`` is consumed as it comes: a generator of millions needs no memory. Keys are those of each event's type.

    Returns:
        How many messages were written.

    Raises:
        As :func:`publish`. What was written before is the caller's transaction's to keep or roll back.
    """
    require_transaction("publish_all()")
    rows = (row for event in events for row in _messages(event, correlation_id=correlation_id))
    written = 0
    while batch := list(islice(rows, ROWS_PER_STATEMENT)):
        written += len(insert(batch))
    return written


def send_command(  # noqa: PLR0913  (a row's columns)
    consumer: str,
    payload: Mapping[str, Any],
    *,
    message_id: UUID | None = None,
    queue: str = "",
    priority: int = DEFAULT_PRIORITY,
    correlation_id: str | None = None,
    key: str = "",
    blocks_key: bool = True,
    at: datetime | None = None,
    delay: float | timedelta = 0,
    schedule_key: str | None = None,
    coalesce: bool = False,
) -> UUID:
    """Write one message addressed to one task, in the caller's transaction.

    Args:
        consumer: the task's name.
        payload: its keyword arguments; JSON values.
        message_id: the id to use; by default a new one.
        queue: where to send it; by default the task's own queue.
        blocks_key: whether, once Failed, it holds back the later ones of its key.

    The others, and what is raised, are those of :func:`publish`.
    """
    require_transaction(consumer)
    message = build(
        consumer,
        payload,
        consumer=consumer,
        id=message_id,
        queue=queue,
        priority=priority,
        correlation_id=correlation_id,
        key=key,
        blocks_key=blocks_key,
        at=at,
        delay=delay,
        schedule_key=schedule_key,
        coalesce=coalesce,
    )
    return insert([message])[0]


def build(  # noqa: PLR0913  (a row's columns)
    type_: str,
    payload: Mapping[str, Any] | str,
    *,
    consumer: str,
    id: UUID | None = None,
    queue: str = "",
    priority: int = DEFAULT_PRIORITY,
    at: datetime | None = None,
    delay: float | timedelta = 0,
    correlation_id: str | None = None,
    key: str = "",
    blocks_key: bool = True,
    schedule_key: str | None = None,
    coalesce: bool = False,
    version: int | None = None,
    headers: Mapping[str, Any] | None = None,
) -> NewMessage:
    """A message that is not written yet, carrying the context of the work at hand.

    ``payload`` may be JSON text already. The other arguments are those of :func:`publish` and :func:`send_command`.
    """
    context = current_context()
    all_headers: dict[str, Any] = {**context.headers(), **(headers or {})}
    if version is not None:
        all_headers["version"] = version
    due, seconds = due_time(at, delay)
    message = NewMessage(
        id or uuid7(),
        type_,
        consumer,
        payload if isinstance(payload, str) else to_json(payload),
        to_json(all_headers) if all_headers else "{}",
        queue,
        priority,
        context.correlation_id if correlation_id is None else correlation_id,
        key,
        blocks_key,
        schedule_key,
        due,
        seconds,
        coalesce,
    )
    message.check()
    return message


def as_json(value: object) -> Any:
    """A value as JSON keeps it, with Celery's own envelopes for datetime, UUID and Decimal."""
    from kombu.utils.json import dumps

    return json.loads(dumps(value))  # type: ignore[no-untyped-call]  # kombu ships no types


def _messages(event: object, *, key: str | None = None, **options: Any) -> Iterator[NewMessage]:
    """A message for each subscriber."""
    kind = type_of(event)
    payload = kind.dump(event)
    for consumer in _subscribers(kind):
        yield build(
            kind.name,
            payload,
            consumer=consumer,
            version=kind.version,
            key=kind.key_of(event) if key is None else key,
            blocks_key=kind.blocks_key,
            **options,
        )


def _subscribers(kind: EventType) -> list[str]:
    consumers = subscribers_of(kind.name)
    if not consumers and not kind.optional:
        raise NoSubscriber(
            f"Nobody subscribes to {kind.name!r}. Add a @subscribe, or declare it optional=True."
        )
    return consumers

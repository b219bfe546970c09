"""Events and commands become rows, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from outbox.conf import conf
from outbox.context import current_context
from outbox.database import connection
from outbox.events import type_of
from outbox.exceptions import NoSubscriber, PublishOutsideTransaction
from outbox.models import Message
from outbox.models.message import DEFAULT_PRIORITY
from outbox.relay.wakeup import wake_on_commit
from outbox.subscriptions import subscribers_of


def publish(event: object, *, correlation_id: str | None = None, delay: float = 0) -> list[UUID]:
    """Write an event's messages, one per subscriber, in one INSERT of the caller's transaction.

    Args:
        event: an instance of a class decorated with ``@event``.
        correlation_id: what it belongs to; by default that of the work at hand.
        delay: seconds before it becomes due, by the database's clock.

    Returns:
        The ids of the messages. Delivery is at least once; effects of transactional subscribers happen once.

    Raises:
        PublishOutsideTransaction: no transaction is open.
        NoSubscriber: nobody subscribes and the event is not declared optional.
        pydantic_core.PydanticSerializationError: a field does not have its declared type.

    Not guaranteed: any order between messages.
    """
    kind = type_of(event)
    require_transaction(kind.name)
    payload = kind.schema.dump_python(event, mode="json", warnings="error")
    consumers = subscribers_of(kind.name)
    if not consumers and not kind.optional:
        raise NoSubscriber(
            f"Nobody subscribes to {kind.name!r}. Add a @subscribe, or declare it optional=True."
        )
    return insert(
        [
            build(
                kind.name,
                payload,
                consumer=name,
                delay=delay,
                correlation_id=correlation_id,
                version=kind.version,
            )
            for name in consumers
        ]
    )


def send_command(
    consumer: str,
    payload: Mapping[str, Any],
    *,
    message_id: UUID | None = None,
    queue: str = "",
    correlation_id: str | None = None,
    delay: float = 0,
) -> UUID:
    """Write one message addressed to one task, in the caller's transaction.

    Args:
        consumer: the task's name.
        payload: its keyword arguments; JSON values.
        message_id: the id to use; by default a new one.
        queue: where to send it; by default the task's own queue.
        correlation_id: what it belongs to; by default that of the work at hand.
        delay: seconds before it becomes due, by the database's clock.

    Raises:
        PublishOutsideTransaction: no transaction is open.
    """
    require_transaction(consumer)
    message = build(
        consumer,
        payload,
        consumer=consumer,
        queue=queue,
        delay=delay,
        correlation_id=correlation_id,
        id=message_id,
    )
    return insert([message])[0]


def require_transaction(what: str) -> None:
    """Refuse to publish where the change and its messages could part ways.

    Raises:
        PublishOutsideTransaction: no transaction is open on the outbox's database.
    """
    if not connection().in_atomic_block:
        raise PublishOutsideTransaction(
            f"{what!r} was published outside a transaction of the database {conf().DATABASE!r}. Wrap the business "
            "change and the publish in one `with transaction.atomic():`."
        )


def build(  # noqa: PLR0913  (a row's columns)
    type_: str,
    payload: Mapping[str, Any],
    *,
    consumer: str,
    id: UUID | None = None,
    queue: str = "",
    priority: int = DEFAULT_PRIORITY,
    delay: float = 0,
    correlation_id: str | None = None,
    version: int | None = None,
    headers: Mapping[str, Any] | None = None,
) -> Message:
    """A message that is not saved yet, carrying the context of the work at hand."""
    context = current_context()
    all_headers: dict[str, Any] = {**context.headers(), **(headers or {})}
    if version is not None:
        all_headers["version"] = version
    message = Message(
        id=id or uuid7(),
        type=type_,
        consumer=consumer,
        payload=payload,
        headers=all_headers,
        queue=queue,
        priority=priority,
        correlation_id=context.correlation_id if correlation_id is None else correlation_id,
    )
    if delay > 0:
        message.next_attempt_at = Now() + timedelta(seconds=delay)
    return message


def insert(messages: Sequence[Message]) -> list[UUID]:
    """Write the rows in one INSERT and have the relay woken after the commit."""
    if messages:
        Message.objects.using(conf().DATABASE).bulk_create(messages)
        wake_on_commit()
    return [message.id for message in messages]


def as_json(value: object) -> Any:
    """A value as JSON keeps it, with Celery's own envelopes for datetime, UUID and Decimal."""
    from kombu.utils.json import dumps

    return json.loads(dumps(value))  # type: ignore[no-untyped-call]  # kombu ships no types

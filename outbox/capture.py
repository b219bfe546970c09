"""Let Celery make a message as it always does, and catch it on its way to the broker.

Everything that Celery puts into a message — ids, routing, links, chains, chords, groups, stamps, headers that its
publish signals add — is decided by Celery's own code, at the moment of the call. What arrives here is what would have
been sent, and is sent later, unchanged. Only what differs from the usual is kept: see
:mod:`outbox.transports.envelope`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from celery import Celery
from celery.utils.saferepr import saferepr
from celery.utils.time import maybe_iso8601, maybe_make_aware
from kombu.exceptions import EncodeError
from kombu.utils.json import dumps

from outbox.context import current_context
from outbox.database import connection
from outbox.exceptions import OutboxError
from outbox.models.message import DEFAULT_PRIORITY
from outbox.publish import build, insert
from outbox.redaction import mask_of, may_be_personal
from outbox.rows import NewMessage
from outbox.taking_over import take_over
from outbox.transports.envelope import USUAL_HEADERS, USUAL_OPTIONS

OF_THE_MOMENT = {
    "retry",
    "retry_policy",
    "timeout",
    "confirm_timeout",
    "declare",
    "expiration",  # counts from the sending: Celery's header ``expires`` is what is kept
    "serializer",
    "reply_to",  # of results that wait in a queue; they would not outlive it
}
"""Options for kombu that say how to send now, not what."""
UNSTORABLE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def row_id(task_id: str) -> UUID:
    """The id of a task's row: the task's own, or one made of it where the caller chose one that is no UUID."""
    try:
        return UUID(task_id)
    except ValueError:
        return uuid5(NAMESPACE_OID, task_id)


@dataclass
class Collected:
    """Rows that are to be written together, and the transaction (with its savepoints) that they belong to."""

    transaction: tuple[object, ...]
    rows: list[NewMessage] = field(default_factory=list)


_collected: ContextVar[Collected | None] = ContextVar("outbox_collected", default=None)


@contextmanager
def one_insert() -> Iterator[None]:
    """What is captured in this block is written by one INSERT at its end; nothing of it, when the block raises.

    What is captured in a transaction or savepoint that began within the block belongs to that, and is written at once.
    """
    if _collecting() is not None:
        yield
        return
    collected = Collected(_transaction())
    token = _collected.set(collected)
    try:
        yield
    finally:
        _collected.reset(token)
    insert(collected.rows)


def _collecting() -> Collected | None:
    """What is being collected in the transaction at hand."""
    collected = _collected.get()
    return collected if collected and collected.transaction == _transaction() else None


def _transaction() -> tuple[object, ...]:
    """The open transaction, with its savepoints."""
    database = connection()
    return (database, *database.atomic_blocks)


class NoEvents:
    """Stands where Celery would announce ``task-sent``: nothing has been sent yet. The row says when it is."""

    def publish(self, *_: object, **__: object) -> None:
        """Say nothing."""


class CapturingProducer:
    """Stands where Celery expects a kombu producer; what it publishes becomes an outbox row.

    Args:
        app: the Celery application, for its time zone.
        delay: seconds before it becomes due, by the database's clock.
        eta: when it becomes due, where that is an absolute time; without a zone, UTC, as Celery's workers take it.
        running: the request of the running task whose next attempt this message is, if it is.
        own: columns of the row that Celery knows nothing of, such as ``key``.
    """

    def __init__(
        self,
        app: Celery,
        *,
        delay: float,
        eta: datetime | str | None,
        running: Any | None,
        own: Mapping[str, Any],
    ) -> None:
        self.app = app
        self.delay = 0.0 if eta else delay
        self.eta: datetime | None = maybe_make_aware(maybe_iso8601(eta), app.timezone) if eta else None
        self.running = running
        self.own = own
        self.replaced: UUID | None = None  # id of the row that waited, where the message took its place
        self.connection = self
        self.channel = None
        self.serializer = None

    def __enter__(self) -> CapturingProducer:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held, so nothing is released."""

    def publish(
        self, body: Any, *, headers: dict[str, Any], serializer: str | None = None, **options: Any
    ) -> None:
        """Keep a task message as a row (or as the running task's next attempt).

        Raises:
            OutboxError: the message is not of task protocol 2, or asks for another serializer than JSON.
            EncodeError: an argument is nothing that JSON, or the database's JSON, can hold.
        """
        task = headers["task"] if isinstance(body, tuple) else ""
        _check(task, serializer)
        row = self._row(task, body, headers, options)
        if self.running is not None:
            self.running.outbox_reschedule = row
        elif not (headers.get("replaced_task_nesting") and take_over(row)):
            self._insert(row)

    def _row(self, task: str, body: Any, headers: dict[str, Any], options: dict[str, Any]) -> NewMessage:
        id_ = row_id(headers["id"])
        queue = "" if options.get("exchange") else str(options.pop("routing_key", None) or "")
        priority = options.get("priority")
        payload = _payload(body)
        if may_be_personal(task, payload):
            headers = {**headers, **_concealed(self.app, task, body, headers)}
        row = build(
            task,
            payload,
            consumer=task,
            id=id_,
            queue=queue,
            priority=DEFAULT_PRIORITY if priority is None else priority,
            at=self.eta,
            delay=self.delay,
            **self.own,
        )
        row.headers = _json(
            {**current_context().headers(), "celery": _unusual(str(id_), task, headers, options)}
        )
        return row

    def _insert(self, row: NewMessage) -> None:
        collected = _collecting()
        if collected is not None and row.schedule_key is None:
            collected.rows.append(row)
            return
        (id_,) = insert([row])
        self.replaced = id_ if id_ != row.id else None

    def _reraise_as_library_errors(self) -> AbstractContextManager[None]:
        """What Celery asks of the producer's connection; there is none, so there are no errors of it."""
        return nullcontext()


def _check(task: str, serializer: str | None) -> None:
    if not task:
        raise OutboxError("Durable tasks need task protocol 2: set task_protocol to 2, its default.")
    if serializer not in (None, "json", "application/json"):
        raise OutboxError(
            f"{task} asks for the serializer {serializer!r}; the outbox keeps JSON. Set serializer='json', or "
            "durable=False to send it straight to the broker."
        )


def _payload(body: Any) -> str:
    args, kwargs, embed = body
    following = {name: value for name, value in embed.items() if value}
    return _json({"args": args, "kwargs": kwargs, **({"embed": following} if following else {})})


def _concealed(app: Celery, task: str, body: Any, headers: dict[str, Any]) -> dict[str, str]:
    """The arguments as Flower and results show them, without personal data; a text of the caller's own stays."""
    args, kwargs, _embed = body
    hidden = mask_of(task, {"args": list(args), "kwargs": kwargs}).payload({"args": args, "kwargs": kwargs})
    ways = {
        "argsrepr": (args, tuple(hidden["args"]), app.amqp.argsrepr_maxsize),
        "kwargsrepr": (kwargs, hidden["kwargs"], app.amqp.kwargsrepr_maxsize),
    }
    levels = app.conf.task_repr_maxlevels
    return {
        name: saferepr(masked, longest, levels)
        for name, (given, masked, longest) in ways.items()
        if headers.get(name) == saferepr(given, longest, levels)
    }


def _unusual(id_: str, task: str, headers: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What makes this message differ from the one that its row alone would make."""
    usual = {**USUAL_HEADERS, "task": task, "id": id_, "root_id": id_}
    kept = {
        name: value
        for name, value in headers.items()
        if not name.startswith("outbox_") and (name not in usual or usual[name] != value)
    }
    exchange = options.get("exchange")
    options["exchange"] = getattr(exchange, "name", exchange)
    usual_options = {**USUAL_OPTIONS, "correlation_id": id_}
    others = {
        name: value
        for name, value in options.items()
        if name not in OF_THE_MOMENT
        and name != "priority"
        and value is not None
        and usual_options.get(name) != value
    }
    return {"headers": kept, **({"options": others} if others else {})}


def _json(value: object) -> str:
    """As JSON, with Celery's own envelopes for datetime, UUID, Decimal and others."""
    try:
        text: str = dumps(value, allow_nan=False)  # type: ignore[no-untyped-call]  # kombu ships no types
    except (TypeError, ValueError) as error:
        raise EncodeError(f"The outbox cannot keep this task's arguments: {error}") from error
    if "\\u0000" in text and UNSTORABLE.search(text):
        raise EncodeError("The outbox cannot keep the character NUL: no PostgreSQL text or JSON holds it.")
    return text

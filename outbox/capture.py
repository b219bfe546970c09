"""Let Celery make a message as it always does, and catch it on its way to the broker.

Everything that Celery puts into a message — ids, routing, eta, links, chains, chords, groups, stamps, headers that
its publish signals add — is decided by Celery's own code, at the moment of the call. What arrives here is what
would have been sent, and is sent later, unchanged.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any
from uuid import UUID

from outbox.deliveries import Reschedule
from outbox.models.message import DEFAULT_PRIORITY
from outbox.publish import as_json, build, insert

KEPT_OPTIONS = (
    "exchange",
    "routing_key",
    "priority",
    "delivery_mode",
    "correlation_id",
    "reply_to",
    "compression",
)


class _NoConnection:
    """What Celery asks of the connection of a producer that has none."""

    def _reraise_as_library_errors(self) -> AbstractContextManager[None]:
        return nullcontext()


class CapturingProducer:
    """Stands where Celery expects a kombu producer; what it publishes becomes an outbox row.

    Args:
        delay: seconds before it becomes due, by the database's clock.
        running: the request of the running task whose next attempt this message is, if it is.
    """

    def __init__(self, *, delay: float, running: Any | None) -> None:
        self.delay = delay
        self.running = running
        self.connection = _NoConnection()
        self.channel = None
        self.serializer = None

    def __enter__(self) -> CapturingProducer:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held, so nothing is released."""

    def publish(self, body: Any, *, headers: dict[str, Any], **options: Any) -> None:
        """Keep a task message as a row (or as the running task's next attempt)."""
        args, kwargs, embed = body
        payload = as_json({"args": list(args), "kwargs": kwargs, "embed": embed})
        headers = as_json(headers)
        eta, headers["eta"] = headers["eta"], None  # due times live in the database, not in a worker's memory
        kept = {name: as_json(options[name]) for name in KEPT_OPTIONS if options.get(name) is not None}
        stored = {"celery": {"headers": headers, "options": kept}}
        if self.running is not None:
            self.running.outbox_reschedule = Reschedule(headers["task"], payload, stored, self.delay, eta)
            return
        message = build(
            headers["task"],
            payload,
            consumer=headers["task"],
            id=UUID(headers["id"]),
            queue=str(kept.get("routing_key") or ""),
            priority=kept.get("priority", DEFAULT_PRIORITY),
            delay=self.delay,
            headers=stored,
        )
        if eta:
            message.next_attempt_at = datetime.fromisoformat(eta)
        insert([message])

"""What passes between a relay and the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

LOST = "The lease ran out: the worker died, or was slower than its lease."
UNCONSUMED = "Sent again and again, and never consumed: nobody serves its queue, or it kills whole workers."

UNKNOWN = "unknown"
"""The stage of an attempt at which nobody knew the message: see :class:`outbox.models.Attempt`."""

Floors = Mapping[str, tuple[str, str]]
"""By priority: due time and id of a row in the index of due rows."""
FROM_THE_START = ("-infinity", "00000000-0000-0000-0000-000000000000")


class Claimed(NamedTuple):
    """A message in a relay's hands. ``payload`` and ``headers`` are JSON texts, as the database keeps them."""

    id: UUID
    type: str
    consumer: str
    payload: str
    headers: str
    queue: str
    priority: int
    attempts: int
    correlation_id: str
    tries: int
    """Attempts since it was published or redriven: what retry policies count."""
    key: str = ""
    waited: bool = False
    """Whether a rate limit has put it off before: it has a place in the line."""


@dataclass(frozen=True)
class Claim:
    """A batch of messages held under one fencing value until the lease ends."""

    lock_id: UUID
    messages: list[Claimed]
    more: bool = False
    """Whether others may be due: it took (or put behind others of their keys) as many as it was allowed to."""
    last: Floors = field(default_factory=dict)
    """The last row that it looked at, by priority."""

    @property
    def ids(self) -> list[UUID]:
        """Of all its messages."""
        return [message.id for message in self.messages]


class Unsettled(NamedTuple):
    """What a settle did not find: ``ours`` still, held by another transaction; and how many it came too late for."""

    ours: set[UUID]
    refused: int


class Failure(NamedTuple):
    """A message that was not sent, why, and the seconds until its next attempt (``None``: Failed)."""

    id: UUID
    error: str
    delay: float | None
    stage: str = "send"

    @property
    def is_refunded(self) -> bool:
        """As :func:`is_refunded`."""
        return is_refunded(self.stage, self.delay)


class Run(NamedTuple):
    """One delivery of a message at its consumer: the fence of all that the consumer writes about it."""

    message_id: UUID
    attempt: int
    worker: str = ""
    lock_id: UUID | None = None
    """Of its lease, where it has one."""


def is_refunded(stage: str, delay: float | None) -> bool:
    """Whether a failed attempt does not count: nobody knew the message, and others may yet."""
    return stage == UNKNOWN and delay is not None


class Rescued(NamedTuple):
    """Messages that came back: from holders that died, and from brokers that lost them."""

    expired: int
    resent: int

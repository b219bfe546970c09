"""A transport that fails on purpose: the classroom for retries (``manage.py dispatch --fail 0.5``)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from uuid import UUID

from outbox.claims import Claimed
from outbox.transports.base import Transport


class InjectedFailure(Exception):
    """The failure that was asked for."""


class FaultyTransport(Transport):
    """Passes messages on to another transport, but for a share of them.

    Args:
        inner: the transport that really sends.
        failure_rate: share of the messages that fail, 0 to 1, drawn anew at each attempt.
        seed: makes the draws repeatable.
    """

    def __init__(self, inner: Transport, failure_rate: float, seed: int | None = None) -> None:
        self.inner = inner
        self.failure_rate = failure_rate
        self.random = random.Random(seed)  # noqa: S311  (no secret depends on it)

    def send(self, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        """Send those that were not drawn to fail."""
        unlucky = {m.id for m in messages if self.random.random() < self.failure_rate}
        errors: dict[UUID, Exception] = {
            id_: InjectedFailure("Sending failed on purpose (--fail).") for id_ in unlucky
        }
        lucky = [m for m in messages if m.id not in unlucky]
        return {**self.inner.send(lucky), **errors} if lucky else errors

    def close(self) -> None:
        """Close the transport inside."""
        self.inner.close()

"""A broker in memory, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from outbox.claims import Claimed
from outbox.exceptions import BrokerUnavailable
from outbox.transports.base import Transport


class MemoryTransport(Transport):
    """Keeps what it is sent in ``sent``.

    Args:
        refuse: asked for each message; an exception that it returns is that message's error.
    """

    def __init__(self, refuse: Callable[[Claimed], Exception | None] = lambda _: None) -> None:
        self.sent: list[Claimed] = []
        self.available = True
        self.refuse = refuse

    def send(self, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        """Keep the batch; with ``available = False``, be a broker that is away."""
        if not self.available:
            raise BrokerUnavailable("The broker in memory was told to be away.")
        errors = {message.id: error for message in messages if (error := self.refuse(message))}
        self.sent += [message for message in messages if message.id not in errors]
        return errors

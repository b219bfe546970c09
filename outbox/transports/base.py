"""The seam between the relay and a broker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from uuid import UUID

from outbox.claims import Claimed

Errors = Mapping[UUID, Exception]
"""The messages that could not be sent, each with its own error."""


class Transport(ABC):
    """Sends batches of messages. One instance serves one relay, in one thread."""

    @abstractmethod
    def send(self, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        """Send a batch, in its order, each message at least once.

        Returns:
            The messages that cannot be sent, each with its own error; the others are with the broker.

        Raises:
            BrokerUnavailable: the broker did not take the batch. Any part of it may have arrived.
        """

    def close(self) -> None:  # noqa: B027  (nothing to close is a fine default)
        """Let go of the broker's connection. The next send opens another."""

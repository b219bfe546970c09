"""Messages become Celery tasks, a batch of them in one round trip.

kombu's ``Producer.batch()`` buffers ordinary publishes into one pipeline of the broker. Where a broker has no
batches, the same code sends one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from celery import Celery, current_app
from kombu.exceptions import BatchPublishError, OperationalError

from outbox.claims import Claimed
from outbox.exceptions import BrokerUnavailable
from outbox.transports.base import Transport
from outbox.transports.envelope import Envelope, render


class CeleryTransport(Transport):
    """Sends through the Celery application's broker, on a connection of its own.

    Args:
        app: the Celery application; by default the current one.
    """

    def __init__(self, app: Celery | None = None) -> None:
        self.app = app or current_app._get_current_object()
        self._producer: Any = None

    def send(self, messages: Sequence[Claimed]) -> Mapping[UUID, Exception]:
        """Render each message by itself, so that a bad one harms no other; then send the rest together."""
        envelopes: list[Envelope] = []
        errors: dict[UUID, Exception] = {}
        for message in messages:
            try:
                envelopes.append(render(self.app, message))
            except Exception as error:  # noqa: BLE001  (whatever it is, it is this message's own)
                errors[message.id] = error
        if envelopes:
            self._send(envelopes)
        return errors

    def close(self) -> None:
        """Drop the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.connection.release()

    def _send(self, envelopes: Sequence[Envelope]) -> None:
        try:
            producer = self._connected_producer()
            with producer.batch(max_size=len(envelopes) * 2):
                for envelope in envelopes:
                    producer.publish(envelope.body, **envelope.options)
        except self._broker_errors() as error:
            self.close()
            cause = error.__cause__ or error
            raise BrokerUnavailable(f"The broker is away: {type(cause).__name__}: {cause}") from error

    def _connected_producer(self) -> Any:
        if self._producer is None:
            connection = self.app.connection_for_write()
            self._producer = self.app.amqp.Producer(connection, auto_declare=False)
        return self._producer

    def _broker_errors(self) -> tuple[type[Exception], ...]:
        """What it looks like when the broker is away, also in the words of its own client library."""
        transport = self.app.connection_for_write().transport
        return (
            BatchPublishError,
            OperationalError,
            OSError,
            *transport.connection_errors,
            *transport.channel_errors,
        )

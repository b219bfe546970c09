"""Messages become Celery tasks, a batch of them in one round trip.

On Redis they are written straight to its lists (:mod:`outbox.transports.redis_lists`); what does not fit there goes
through kombu's ``Producer.batch()``, which buffers ordinary publishes. Where a broker has no batches, the same code
sends one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from celery import Celery, current_app
from kombu.exceptions import BatchPublishError, OperationalError

from outbox.claims import Claimed
from outbox.exceptions import BrokerUnavailable
from outbox.transports import redis_lists
from outbox.transports.base import Transport
from outbox.transports.envelope import Envelope, render

ONE_TRY = {"max_retries": 0}
"""Of connecting: when to try again is the relay's decision, which gives back meanwhile what it holds."""


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
        envelopes: dict[UUID, Envelope] = {}
        errors: dict[UUID, Exception] = {}
        for message in messages:
            try:
                envelopes[message.id] = render(self.app, message)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is this message's own)
                errors[message.id] = error
        return {**errors, **self._send(envelopes)} if envelopes else errors

    def close(self) -> None:
        """Drop the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.connection.release()

    def _send(self, envelopes: Mapping[UUID, Envelope]) -> dict[UUID, Exception]:
        try:
            return self._send_together(envelopes)
        except BatchPublishError as error:
            if not self._may_be_a_messages_fault(error):
                raise self._away(error) from error
        return self._send_one_by_one(envelopes)

    def _send_together(self, envelopes: Mapping[UUID, Envelope]) -> dict[UUID, Exception]:
        """One round trip on Redis, and another for what needs kombu."""
        producer = self._connected_producer()
        quick: dict[UUID, Envelope] = {}
        errors: dict[UUID, Exception] = {}
        if redis_lists.serves(producer.channel):
            quick = {id_: envelope for id_, envelope in envelopes.items() if redis_lists.takes(envelope)}
            errors = redis_lists.push(producer.channel, quick)
        others = {id_: envelope for id_, envelope in envelopes.items() if id_ not in quick}
        return errors | self._publish(others) if others else errors

    def _publish(self, envelopes: Mapping[UUID, Envelope]) -> dict[UUID, Exception]:
        """Through kombu. A message that it cannot prepare is left out, with its error."""
        producer = self._producer
        errors: dict[UUID, Exception] = {}
        with producer.batch(max_size=len(envelopes) * 2):
            for id_, envelope in envelopes.items():
                try:
                    producer.publish(envelope.body, **envelope.options)
                except BatchPublishError:
                    raise
                except Exception as error:
                    if not producer.supports_batch_publish and isinstance(error, self._broker_errors()):
                        raise self._away(error) from error  # here every publish is a round trip of its own
                    errors[id_] = error
        return errors

    def _send_one_by_one(self, envelopes: Mapping[UUID, Envelope]) -> dict[UUID, Exception]:
        """The broker refused something in the batch: find out what. Whatever had arrived arrives twice."""
        errors: dict[UUID, Exception] = {}
        unclear = 0
        for id_, envelope in envelopes.items():
            try:
                errors.update(self._send_together({id_: envelope}))
            except BatchPublishError as error:
                if not self._may_be_a_messages_fault(error):
                    raise self._away(error) from error
                errors[id_] = error.__cause__ if isinstance(error.__cause__, Exception) else error
                unclear += not redis_lists.is_the_messages(error.__cause__)
        if unclear == len(envelopes):  # it refuses everything, in words that say nothing about why
            raise self._away(next(iter(errors.values())))
        return errors

    def _connected_producer(self) -> Any:
        """The producer, with its connection made: later errors are not the connection's."""
        try:
            if self._producer is None:
                connection = self.app.connection_for_write(transport_options=ONE_TRY)
                self._producer = self.app.amqp.Producer(connection, auto_declare=False)
            _ = self._producer.channel
        except self._broker_errors() as error:
            raise self._away(error) from error
        return self._producer

    def _may_be_a_messages_fault(self, error: Exception) -> bool:
        """Whether the broker answered, and said no, for another reason than trouble of its own."""
        transport = self.app.connection_for_write().transport
        cause = error.__cause__
        return (
            isinstance(cause, transport.channel_errors)
            and not isinstance(cause, transport.connection_errors)
            and not redis_lists.is_the_brokers(cause)
        )

    def _away(self, error: Exception) -> BrokerUnavailable:
        self.close()
        cause = error.__cause__ or error
        return BrokerUnavailable(f"The broker is away: {type(cause).__name__}: {cause}")

    def _broker_errors(self) -> tuple[type[Exception], ...]:
        """What it looks like when the broker is away, also in the words of its own client library."""
        transport = self.app.connection_for_write().transport
        return (OperationalError, OSError, *transport.connection_errors, *transport.channel_errors)

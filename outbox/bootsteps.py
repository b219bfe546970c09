"""What is added to a Celery worker's main process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import bootsteps
from celery.concurrency.prefork import TaskPool
from kombu.common import ignore_errors
from kombu.transport import redis, virtual
from redis.exceptions import RedisError

from outbox.wording import describe

logger = logging.getLogger(__name__)

PAUSE = 0.1
"""Seconds that the events of tasks wait for others."""


class EventsTogether(bootsteps.StartStopStep):
    """Has the events of tasks, which Flower lives on, sent a few times a second and together.

    Celery sends them each time round its loop, three times a task, and waits for the broker's answer each time:
    before a task goes to a child, and while others wait to be acknowledged. That was two fifths of the main process's
    work. Celery sends at once what it has many of; that stays.

    Not guaranteed: that the events of the last tenth of a second survive a worker that is killed.
    """

    requires = ("celery.worker.consumer.events:Events",)

    def start(self, c: Any) -> None:
        """Each time that the consumer connects: its dispatcher is a new one."""
        if c.hub and c.event_dispatcher.on_send_buffered:
            c.event_dispatcher.on_send_buffered = Together(c.hub.call_later, c._flush_events)

    def stop(self, c: Any) -> None:
        """Send what waits."""
        if c.event_dispatcher:
            ignore_errors(c, c.event_dispatcher.flush)  # type: ignore[no-untyped-call]  # kombu ships no types


class OneClient(bootsteps.StartStopStep):
    """Has the channel that tasks come through use one client of redis-py.

    kombu makes a new one for each command, which fills a table of two hundred callbacks: a seventh of the main
    process's work.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, c: Any) -> None:
        """Each time that the consumer connects: its channel is a new one."""
        channel = c.task_consumer.channel
        if isinstance(channel, redis.Channel):
            channel.conn_or_acquire = KeptClient(channel)  # type: ignore[method-assign]


class AcksTogether(bootsteps.StartStopStep):
    """Has the broker told of finished tasks a few times a second and together.

    kombu tells it at each task's end and waits for the answer: just when the message of what follows arrives, which
    waits meanwhile. That was a tenth of the main process's work.

    Where the broker cannot be told, it is told later, on the next connection if that is lost. To find that is left to
    who waits for messages on it.

    Not guaranteed: that the acknowledgements of the last tenth of a second survive a worker that is killed. What they
    were for is delivered again, as what was at work is, and refused as a duplicate; a task that runs without its
    message having a row (``accepts_foreign``) runs again.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        self._acks: Acks | None = None

    def start(self, c: Any) -> None:
        """Each time that the consumer connects: its channel is a new one."""
        channel = c.task_consumer.channel
        in_one_thread = c.hub and isinstance(c.pool, TaskPool)  # other pools acknowledge in threads
        if in_one_thread and isinstance(channel, redis.Channel):
            untold = self._acks.take() if self._acks else []
            self._acks = Acks(channel.qos, c.hub.call_later, untold)

    def stop(self, c: Any) -> None:
        """Send what waits, if there is a connection. If not, this is the way to a new one, or the worker's end."""
        if self._acks:
            self._acks.leave_to_kombu()
            if c.connection:
                ignore_errors(c, self._acks.send)  # type: ignore[no-untyped-call]  # kombu ships no types


class Acks:
    """Stands in for the method of a channel's QoS that acknowledges messages.

    Args:
        qos: of kombu's Redis transport.
        call_later: takes seconds and what to call then.
        untold: tags that the broker is still to be told of.
    """

    def __init__(
        self, qos: Any, call_later: Callable[[float, Callable[[], None]], Any], untold: list[str]
    ) -> None:
        self._qos = qos
        self._untold = untold
        self._plan = Together(call_later, self._try)
        qos.ack = self.ack
        if untold:
            self._plan()

    def ack(self, delivery_tag: str) -> None:
        """It counts as acknowledged in this process at once, so that the next message may be taken."""
        virtual.QoS.ack(self._qos, delivery_tag)  # type: ignore[no-untyped-call]
        self._untold.append(delivery_tag)
        self._plan()

    def send(self) -> None:
        """Tell the broker.

        Raises:
            OSError, RedisError: it was not told.
        """
        if tags := [*self._untold]:
            with self._qos.pipe_or_acquire() as pipe:
                pipe.zrem(self._qos.unacked_index_key, *tags).hdel(self._qos.unacked_key, *tags).execute()
            del self._untold[: len(tags)]

    def leave_to_kombu(self) -> None:
        """What is acknowledged from now on is sent at once, in kombu's own way."""
        vars(self._qos).pop("ack", None)

    def take(self) -> list[str]:
        """The tags that the broker was not told of, for whoever tells it next."""
        untold, self._untold = self._untold, []
        return untold

    def _try(self) -> None:
        try:
            self.send()
        except (OSError, RedisError) as error:
            logger.warning("%d tasks are not acknowledged yet: %s", len(self._untold), describe(error))
            self._plan()


class Together:
    """Many calls within ``PAUSE`` seconds are one.

    Args:
        call_later: takes seconds and what to call then.
        call: what to call.
    """

    def __init__(
        self, call_later: Callable[[float, Callable[[], None]], Any], call: Callable[[], None]
    ) -> None:
        self._call_later = call_later
        self._call = call
        self._is_planned = False

    def __call__(self) -> None:
        """Plan a call, if none is planned."""
        if not self._is_planned:
            self._is_planned = True
            self._call_later(PAUSE, self._do)

    def _do(self) -> None:
        self._is_planned = False
        self._call()


class KeptClient:
    """Stands in for the method of a channel that hands out clients: always the same, while the channel keeps its pool.

    A channel that is being closed has none any more, and cannot make one where the connection is lost; the client can
    still give back what was not acknowledged, or fail as clients do. Else an error of kombu's would end the worker.

    Args:
        channel: of kombu's Redis transport. A client takes a connection from the pool for each command.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._acquire = channel.conn_or_acquire
        self._client: Any = None

    @contextmanager
    def __call__(self, client: Any = None) -> Iterator[Any]:
        """As kombu's: the client that is given, or one of the channel's."""
        if client is None:
            if self._client is None or self._channel._pool not in (None, self._client.connection_pool):
                with self._acquire() as made:
                    self._client = made
            client = self._client
        yield client

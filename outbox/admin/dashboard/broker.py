"""How many messages lie in the broker's queues, by the broker's own word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import current_app
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from kombu.exceptions import ChannelError

from outbox import known
from outbox.admin.dashboard.panels import Figure, panel
from outbox.admin.links import messages_url
from outbox.conf import conf
from outbox.exceptions import BrokerUnavailable
from outbox.wording import describe

PATIENCE = 1.0
"""Seconds that the broker has for each answer: this is a page, and somebody is waiting for it."""


@panel(
    "broker",
    gettext_lazy("Queues in the broker"),
    permission="outbox.view_message",
    order=40,
    template="admin/console/panels/broker.html",
    every=10,
    is_lazy=True,
    is_wide=True,
)
def broker(_request: HttpRequest) -> dict[str, Any]:
    """A figure for each queue, or that the broker is away."""
    try:
        found = depths([*known.queues(), conf().DISPATCH_QUEUE])
    except BrokerUnavailable as error:
        return {"away": str(error)}
    return {
        "figures": [
            Figure(
                queue,
                f"{depth:,}",
                messages_url(queue=queue, state="unconsumed"),
                "info" if depth else "",
                _("for the relay itself") if queue == conf().DISPATCH_QUEUE else "",
                key=f"queue-{queue}",
            )
            for queue, depth in found.items()
        ]
    }


def depths(queues: Iterable[str]) -> dict[str, int]:
    """The number of messages in each queue that no worker has taken yet.

    Raises:
        BrokerUnavailable: it did not answer in :data:`PATIENCE` seconds, or refused.

    Not guaranteed: that these are messages that somebody still needs. Copies of consumed ones count, too.
    """
    options = {
        **(current_app.conf.broker_transport_options or {}),
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
        "retry_on_timeout": False,
        "max_retries": 0,
    }
    connection = current_app.connection_for_read(connect_timeout=PATIENCE, transport_options=options)
    try:
        connection.connect()
        channel = connection.channel()
        return {queue: _depth(channel, queue) for queue in dict.fromkeys(queues)}
    except (*connection.connection_errors, *connection.channel_errors, OSError) as error:
        raise BrokerUnavailable(describe(error)) from error
    finally:
        connection.release()


def _depth(channel: Any, queue: str) -> int:
    """An empty queue does not exist on some brokers."""
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:
        return 0

"""What this process can deliver: the types that somebody handles, and the queues that they go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import current_app

from outbox.events import known_types, unknown_type
from outbox.models.message import DISTRIBUTE
from outbox.subscriptions import subscribers_of
from outbox.transports.envelope import queue_of

if TYPE_CHECKING:
    from outbox.celery import DurableTask

PRIVATE = ("outbox.", "celery.")
"""Tasks of the machinery itself: nobody addresses a message to them by hand."""


def tasks() -> dict[str, DurableTask]:
    """The tasks that consume messages, by name. One that is not durable would never mark its message."""
    from outbox.celery import DurableTask  # which publishes, and so needs what this module knows

    found = current_app.tasks.items()
    return {
        name: task
        for name, task in sorted(found)
        if isinstance(task, DurableTask) and task.durable and not name.startswith(PRIVATE)
    }


def events() -> list[str]:
    """The events that have subscribers."""
    return [name for name in known_types() if subscribers_of(name)]


def types() -> list[str]:
    """Every type that a message may have so that somebody handles it: events first."""
    return [*events(), *tasks()]


def require_type(name: str) -> None:
    """Check that somebody handles messages of that type.

    Raises:
        UnknownType: nobody does; the message names the type that was probably meant.
    """
    if name not in types():
        raise unknown_type(name, types())


def queues() -> dict[str, list[str]]:
    """The tasks that go to each queue by themselves."""
    found: dict[str, list[str]] = {distribution_queue(): []}
    for name in tasks():
        found.setdefault(queue_of(current_app, name), []).append(name)
    return dict(sorted(found.items()))


def default_queue(type_: str, consumer: str) -> str:
    """The queue of a message that names none; empty when nobody handles it."""
    name = consumer or type_
    if name in tasks():
        return queue_of(current_app, name)
    return distribution_queue() if subscribers_of(type_) else ""


def distribution_queue() -> str:
    """The queue of messages without a consumer, which are given to every subscriber of their type."""
    return queue_of(current_app, DISTRIBUTE)

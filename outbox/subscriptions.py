"""Who consumes which event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from celery import shared_task
from pydantic import ValidationError

from outbox.backoff import RetryPolicy
from outbox.events import event_class_type
from outbox.exceptions import PermanentError

Subscriber = TypeVar("Subscriber", bound=Callable[[Any], object])

_subscribers: dict[str, list[str]] = defaultdict(list)


def subscribe(
    event: type,
    *,
    name: str = "",
    queue: str = "default",
    retry: RetryPolicy | None = None,
    consumption: str = "transactional",
) -> Callable[[Subscriber], Subscriber]:
    """Decorator: make a plain function of one event a subscriber.

    The function stays callable as it is. A Celery task of the subscriber's name is registered for it, so that
    each subscriber has its own messages, retries and fate, and is seen by its name in Flower.

    Args:
        event: the event's class.
        name: the subscriber's name; by default ``<application>.<function>``.
        queue: the Celery queue that it is sent to.
        retry: when to try again; by default that of ``settings.OUTBOX``.
        consumption: ``transactional`` (the effect commits together with the mark that it happened: once) or
            ``leased`` (runs outside a transaction, for work that calls out: at least once).
    """
    kind = event_class_type(event)

    def register(function: Subscriber) -> Subscriber:
        task_name = name or f"{function.__module__.split('.')[0]}.{function.__name__}"
        _subscribers[kind.name].append(task_name)

        def run(**payload: Any) -> None:
            try:
                event = kind.schema.validate_python(payload)
            except ValidationError as error:
                raise PermanentError(f"The payload is no {kind.name}: {error}") from None
            function(event)

        run.__doc__ = function.__doc__
        from outbox.celery import SubscriberTask

        shared_task(
            name=task_name,
            base=SubscriberTask,
            home_queue=queue,
            typing=False,
            consumption=consumption,
            delivery_retry=retry,
            ignore_result=True,
        )(run)
        return function

    return register


def subscribers_of(event_name: str) -> list[str]:
    """Task names of an event's subscribers, in the order of their registration."""
    return list(_subscribers.get(event_name, ()))

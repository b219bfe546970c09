"""Who consumes which event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from celery import shared_task

from outbox.backoff import RetryPolicy
from outbox.events import EventType, event_class_type
from outbox.exceptions import OutboxError
from outbox.versions import load

Subscriber = TypeVar("Subscriber", bound=Callable[[Any], object])

VERSION_HEADER = "outbox_version"
"""The header of a task message that says in which version its event was written."""

_subscribers: dict[str, list[str]] = defaultdict(list)
_functions: dict[str, str] = {}


def subscribe(
    event: type,
    *,
    name: str = "",
    queue: str = "default",
    retry: RetryPolicy | None = None,
    consumption: str = "transactional",
    lease_seconds: float = 60.0,
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
        lease_seconds: how long a leased run may take before it counts as dead, and another one begins.

    Raises:
        OutboxError: the name is another subscriber's: only one of them would run.
    """
    kind = event_class_type(event)

    def register(function: Subscriber) -> Subscriber:
        task_name = name or f"{function.__module__.split('.')[0]}.{function.__name__}"
        _register(kind.name, task_name, place := f"{function.__module__}.{function.__qualname__}")
        from outbox.celery import SubscriberTask

        shared_task(
            name=task_name,
            base=SubscriberTask,
            bind=True,
            home_queue=queue,
            typing=False,
            consumption=consumption,
            lease_seconds=lease_seconds,
            delivery_retry=retry,
            ignore_result=True,
            subscriber=place,
        )(_runner(kind, function))
        return function

    return register


def _register(event_name: str, task_name: str, place: str) -> None:
    taken = _functions.setdefault(task_name, place)
    if taken != place or task_name in _subscribers[event_name]:
        raise OutboxError(
            f"Two subscribers are called {task_name!r}: {taken} and {place}. Give one of them a name= of its own."
        )
    _subscribers[event_name].append(task_name)


def _runner(kind: EventType, function: Callable[[Any], object]) -> Callable[..., None]:
    """The task's function: payload → event → subscriber."""

    def run(task: Any, /, **payload: Any) -> None:
        function(load(kind, payload, (task.request.headers or {}).get(VERSION_HEADER)))

    run.__doc__ = function.__doc__
    return run


def all_subscribers() -> dict[str, str]:
    """Every subscriber's task name, with the function that it stands for."""
    return dict(_functions)


def subscribers_of(event_name: str) -> list[str]:
    """Task names of an event's subscribers, in the order of their registration."""
    return list(_subscribers.get(event_name, ()))

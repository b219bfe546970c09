"""Durable tasks that do what a test says, and their deliveries, as a worker has them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app, shared_task
from celery._state import _task_stack
from django.db.models.functions import Now

from outbox import claims
from outbox.models import Message, Status

BEHAVIOUR: dict[str, Callable[..., Any]] = {}


def _behave(task: Any, *args: Any, **kwargs: Any) -> Any:
    return BEHAVIOUR["now"](task, *args, **kwargs)


@shared_task(bind=True, name="sample.leased", typing=False)
def leased(task: Any, *args: Any, **kwargs: Any) -> Any:
    """Does what the test says, under a lease."""
    return _behave(task, *args, **kwargs)


@shared_task(bind=True, name="sample.transactional", typing=False, consumption="transactional")
def transactional(task: Any, *args: Any, **kwargs: Any) -> Any:
    """Does what the test says, in the transaction that consumes its message."""
    return _behave(task, *args, **kwargs)


@shared_task(bind=True, name="sample.by_hand", typing=False, consumption="manual")
def by_hand(task: Any, *args: Any, **kwargs: Any) -> Any:
    """Does what the test says, and would consume its message by itself."""
    return _behave(task, *args, **kwargs)


BOTH = pytest.mark.parametrize("task", [leased, transactional], ids=["leased", "transactional"])


def deliver(claimed: claims.Claimed) -> Any:
    """Run a claimed message's task as a worker does; returns the result, or the exception that Celery is told."""
    task = current_app.tasks[claimed.consumer]
    row = Message.objects.get(pk=claimed.id)
    payload = row.payload if "celery" in row.headers else {"args": [], "kwargs": row.payload}
    embed = payload.get("embed", {})
    task.push_request(
        id=str(claimed.id),
        headers={"outbox_attempt": claimed.attempts, "outbox_tries": claimed.tries},
        called_directly=False,
        hostname="worker-1",
        delivery_info={},
        callbacks=embed.get("callbacks"),
        chain=embed.get("chain"),
        errbacks=embed.get("errbacks"),
        chord=embed.get("chord"),
        group=row.headers.get("celery", {}).get("headers", {}).get("group"),
        args=payload["args"],
        kwargs=payload["kwargs"],
    )
    _task_stack.push(task)
    try:
        return task(*payload["args"], **payload["kwargs"])
    except Exception as told:  # noqa: BLE001  (whatever it is, it is what is asked for)
        return told
    finally:
        _task_stack.pop()
        task.pop_request()


def run(behaviour: Callable[..., Any] | None = None) -> Any:
    """Deliver the one message that is due, all waits being over."""
    if behaviour:
        BEHAVIOUR["now"] = behaviour
    Message.objects.filter(status=Status.PENDING).update(next_attempt_at=Now() - timedelta(seconds=1))
    (claimed,) = claims.claim(1).messages
    return deliver(claimed)


def begin_anew() -> None:
    """What the end of a lease does to a run whose outcome was not written."""
    Message.objects.filter(consumed_at=None).update(
        status=Status.PENDING, started_at=None, lock_id=None, locked_until=None
    )


def raising(error: BaseException) -> Callable[..., Any]:
    """A behaviour that raises."""

    def behave(*_: Any, **__: Any) -> Any:
        raise error

    return behave

"""Durable tasks in a worker: Celery's own ways of ending a task, none of which may lose work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import Ignore, Retry
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models.functions import Now

from outbox import claims
from outbox.models import Message, Status
from outbox.publish import send_command
from tests.integration.outbox import sample
from tests.integration.outbox.delivering import (
    BOTH,
    leased,
    run,
)

pytestmark = pytest.mark.django_db(transaction=True)


@BOTH
def test_a_task_that_returns_is_consumed(task: Any) -> None:
    """With its result for Celery."""
    task.delay(1)
    assert run(lambda _, n: n + 1) == 2
    assert Message.objects.get().consumed_at is not None


@BOTH
def test_retry_schedules_the_same_message_with_what_it_asked_for(task: Any) -> None:
    """Same id, new arguments, counted retries; RETRY for Celery."""
    task.delay(1)
    told = run(lambda t, n: t.retry(args=(n + 1,), countdown=60, exc=ValueError("later")))
    assert isinstance(told, Retry)
    row = Message.objects.get()
    assert (row.status, row.payload["args"], row.last_error) == (Status.PENDING, [2], "ValueError: later")
    assert row.headers["celery"]["headers"]["retries"] == 1
    assert row.next_attempt_at > row.occurred_at + timedelta(seconds=50)
    assert run(lambda _, n: n) == 2
    assert Message.objects.get().consumed_at is not None


@BOTH
def test_a_retry_that_does_not_raise_is_not_forgotten(task: Any) -> None:
    """``retry(throw=False)``: the task returns, and runs again."""
    task.delay(1)
    run(lambda t, n: t.retry(throw=False, countdown=0) and None)
    row = Message.objects.get()
    assert (row.status, row.consumed_at) == (Status.PENDING, None)


@BOTH
def test_replace_runs_another_task_in_its_place(task: Any) -> None:
    """The message becomes the other task's, with the same id."""
    task.delay(1)
    assert isinstance(run(lambda t, n: t.replace(sample.add.s(n, b=1))), Ignore)
    row = Message.objects.get()
    assert (row.consumer, row.type, row.status, row.payload["args"]) == (
        "sample.add",
        "sample.add",
        "pending",
        [1],
    )


@BOTH
def test_ignore_ends_the_message_and_keeps_what_was_done(task: Any) -> None:
    """The task's own wish: done with, and nothing follows."""
    task.delay()

    def behave(_: Any) -> None:
        Group.objects.create(name="kept")
        raise Ignore

    assert isinstance(run(behave), Ignore)
    assert Message.objects.get().consumed_at is not None
    assert Group.objects.filter(name="kept").exists()


@BOTH
def test_a_task_may_call_itself_as_a_function(task: Any) -> None:
    """A direct call inside a run is a function call: it consumes nothing."""
    task.delay(3)
    assert run(lambda t, n: n + (t(n - 1) if n else 0)) == 6
    assert Message.objects.get().consumed_at is not None


def test_a_zombies_outcome_is_refused_quietly() -> None:
    """It took longer than its lease: Celery is told nothing, so that no result of another run is overwritten."""
    leased.delay()

    def outlive_the_lease(_: Any) -> None:
        Message.objects.update(locked_until=Now() - timedelta(seconds=1))
        claims.rescue(10)

    assert isinstance(run(outlive_the_lease), Ignore)
    assert Message.objects.get().status == Status.PENDING


def test_a_row_is_consumed_though_its_task_has_opted_out() -> None:
    """It was written before, or by hand: what is not consumed would be sent again and again."""
    with transaction.atomic():
        send_command("sample.undurable", {})
    run()
    assert Message.objects.get().consumed_at is not None

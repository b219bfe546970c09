"""Durable tasks that fail: what is kept, and when they run again."""

from __future__ import annotations

from typing import Any

import pytest
from celery.exceptions import Ignore, Reject, Retry
from django.db import OperationalError, connection
from django_celery_results.models import TaskResult

from outbox import consumption
from outbox.backoff import RetryPolicy
from outbox.models import Attempt, Message, Status
from tests.integration.outbox import sample
from tests.integration.outbox.delivering import (
    BOTH,
    by_hand,
    leased,
    raising,
    run,
    transactional,
)

pytestmark = pytest.mark.django_db(transaction=True)


@BOTH
def test_a_failure_is_failed_and_kept(task: Any) -> None:
    """As in plain Celery there is no retry that the task did not ask for; here its message waits for a person."""
    task.delay()
    assert isinstance(run(raising(ValueError("no"))), ValueError)
    row = Message.objects.get()
    assert (row.status, row.last_error) == (Status.FAILED, "ValueError: no")


@BOTH
def test_reject_is_a_failure_that_is_kept(task: Any) -> None:
    """A rejected message does not vanish."""
    task.delay()
    run(raising(Reject("no", requeue=False)))
    assert Message.objects.get().status == Status.FAILED


def test_a_transaction_that_the_database_ended_is_tried_again() -> None:
    """A restart of PostgreSQL or a deadlock is not the task's outcome: all was rolled back."""
    transactional.delay()
    assert isinstance(run(raising(OperationalError("terminating connection"))), Retry)
    assert Message.objects.get().status == Status.PENDING


def test_an_outcome_is_written_though_the_waiting_connection_died() -> None:
    """Leased work outlives its connection: the mark is written on a fresh one."""
    leased.delay()

    def behave(_: Any) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        with connection.copy().cursor() as other:
            other.execute("SELECT pg_terminate_backend(%s)", [pid])
            other.connection.close()
        return "done"

    assert run(behave) == "done"
    assert Message.objects.get().consumed_at is not None


@BOTH
@pytest.mark.parametrize("text", ["nul \x00 byte", "lone \ud800 surrogate", "x" * 100_000])
def test_any_error_text_can_be_kept(task: Any, text: str) -> None:
    """What PostgreSQL does not take in a text is escaped, and the text is cut."""
    task.delay()
    run(raising(ValueError(text)))
    row = Message.objects.get()
    assert row.status == Status.FAILED
    assert len(Attempt.objects.get().error) < 5000


class Raises(RetryPolicy):
    """Is broken."""

    def exhausted(self, attempt: int) -> bool:
        raise RuntimeError("broken policy")


class Answers(RetryPolicy):
    """Answers with what ``factor`` is, whatever that is."""

    def delay(self, attempt: int) -> Any:
        return self.factor


POLICIES = {
    "raises": (Raises(), "RuntimeError: broken policy"),
    "inf": (Answers(factor=float("inf")), "inf s"),
    "nan": (Answers(factor=float("nan")), "nan s"),
    "negative": (Answers(factor=-1.0), "-1.0 s"),
    "text": (Answers(factor="soon"), "ValueError: could not convert"),  # type: ignore[arg-type]
    "none": (Answers(factor=None), "TypeError: float()"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("task", [leased, transactional, by_hand], ids=["leased", "transactional", "manual"])
@pytest.mark.parametrize("name", POLICIES)
def test_a_broken_policy_ends_the_message_with_both_errors(task: Any, name: str, monkeypatch) -> None:
    """It is anybody's code, and must not leave a row that comes back for ever."""
    policy, text = POLICIES[name]
    monkeypatch.setattr(task, "delivery_retry", policy)
    task.delay()
    told = run(raising(ValueError("the task's own")))
    row = Message.objects.get()
    assert isinstance(told, ValueError)
    assert row.status == Status.FAILED
    assert row.last_error.startswith("ValueError: the task's own (and its retry policy ")
    assert text in row.last_error
    assert Attempt.objects.get().error == row.last_error


@pytest.mark.parametrize(
    ("task", "write"),
    [(leased, "take_lease"), (leased, "finish_lease"), (leased, "fail"), (transactional, "fail")],
    ids=["take", "finish", "fail leased", "fail transactional"],
)
def test_without_an_outcome_celery_is_told_of_none(task: Any, write: str, monkeypatch) -> None:
    """The database did not take it, so it runs again: FAILURE would be wrong, and errbacks would run too early."""

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("deadlock detected")

    task.apply_async(link_error=sample.undurable.si())
    monkeypatch.setattr(consumption, write, away)
    assert isinstance(run(raising(ValueError("no")) if write == "fail" else lambda _: 1), Ignore)
    assert Message.objects.get().status in (Status.PROCESSING, Status.SENT)
    assert not TaskResult.objects.exists()


@BOTH
def test_rejected_to_be_queued_again_it_runs_again(task: Any) -> None:
    """After a pause: in plain Celery it would come back at once, and for ever."""
    task.delay()
    assert isinstance(run(raising(Reject("later", requeue=True))), Retry)
    assert Message.objects.get().status == Status.PENDING

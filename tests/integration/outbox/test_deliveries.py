"""Durable tasks in a worker: Celery's own ways of ending a task, none of which may lose work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from celery import chain, chord, current_app, shared_task
from celery._state import _task_stack
from celery.app.task import Context
from celery.exceptions import Ignore, Reject, Retry
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django_celery_results.models import ChordCounter, TaskResult

from outbox import claims, consumption
from outbox.backoff import RetryPolicy
from outbox.celery import delivery_of
from outbox.models import Attempt, Message, Status
from outbox.publish import send_command
from outbox.redrive import redrive
from outbox.tasks import call_off_revoked
from tests.harness.concurrent import in_background
from tests.harness.waiting import wait_until
from tests.integration.outbox import sample

pytestmark = pytest.mark.django_db(transaction=True)

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


def _begin_anew() -> None:
    """What the end of a lease does to a run whose outcome was not written."""
    Message.objects.filter(consumed_at=None).update(
        status=Status.PENDING, started_at=None, lock_id=None, locked_until=None
    )


def raising(error: BaseException) -> Callable[..., Any]:
    """A behaviour that raises."""

    def behave(*_: Any, **__: Any) -> Any:
        raise error

    return behave


@BOTH
def test_a_task_that_returns_is_consumed(task: Any) -> None:
    """With its result for Celery."""
    task.delay(1)
    assert run(lambda _, n: n + 1) == 2
    assert Message.objects.get().consumed_at is not None


@BOTH
def test_what_follows_is_written_with_the_mark(task: Any) -> None:
    """Link and chain are rows when the message is consumed, and Celery is left nothing to send."""
    task.apply_async((1,), link=sample.add.s(b=7), chain=[sample.add.s(b=5)])
    run(lambda _, n: n + 1)
    following = Message.objects.filter(type="sample.add")
    assert sorted((row.payload["args"][0], row.payload["kwargs"]["b"]) for row in following) == [
        (2, 5),
        (2, 7),
    ]
    assert {row.headers["celery"]["headers"]["parent_id"] for row in following} == {
        str(Message.objects.get(type=task.name).id)
    }


@BOTH
def test_what_follows_and_the_mark_are_lost_together_or_not_at_all(task: Any, monkeypatch) -> None:
    """When the next task cannot be written, the message is not consumed either."""
    chain(task.s(1), sample.add.s(b=5)).apply_async()
    monkeypatch.setattr("outbox.deliveries.send_what_follows", raising(RuntimeError("no room")))
    run(lambda _, n: n)
    assert Message.objects.get().consumed_at is None


@BOTH
def test_a_failure_is_failed_and_kept(task: Any) -> None:
    """As in plain Celery there is no retry that the task did not ask for; here its message waits for a person."""
    task.delay()
    assert isinstance(run(raising(ValueError("no"))), ValueError)
    row = Message.objects.get()
    assert (row.status, row.last_error) == (Status.FAILED, "ValueError: no")


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
def test_reject_is_a_failure_that_is_kept(task: Any) -> None:
    """A rejected message does not vanish."""
    task.delay()
    run(raising(Reject("no", requeue=False)))
    assert Message.objects.get().status == Status.FAILED


@BOTH
def test_a_task_may_call_itself_as_a_function(task: Any) -> None:
    """A direct call inside a run is a function call: it consumes nothing."""
    task.delay(3)
    assert run(lambda t, n: n + (t(n - 1) if n else 0)) == 6
    assert Message.objects.get().consumed_at is not None


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


def test_a_zombies_outcome_is_refused_quietly() -> None:
    """It took longer than its lease: Celery is told nothing, so that no result of another run is overwritten."""
    leased.delay()

    def outlive_the_lease(_: Any) -> None:
        Message.objects.update(locked_until=Now() - timedelta(seconds=1))
        claims.rescue(10)

    assert isinstance(run(outlive_the_lease), Ignore)
    assert Message.objects.get().status == Status.PENDING


@BOTH
@pytest.mark.parametrize("text", ["nul \x00 byte", "lone \ud800 surrogate", "x" * 100_000])
def test_any_error_text_can_be_kept(task: Any, text: str) -> None:
    """What PostgreSQL does not take in a text is escaped, and the text is cut."""
    task.delay()
    run(raising(ValueError(text)))
    row = Message.objects.get()
    assert row.status == Status.FAILED
    assert len(Attempt.objects.get().error) < 5000


def test_a_revoked_message_is_closed() -> None:
    """What a worker threw away unseen is not sent for ever: revoked, or expired."""
    result = leased.delay()
    claims.claim(1)
    call_off_revoked(request=arrived(result.id), expired=False, terminated=False, signum=None)
    row = Message.objects.get(pk=UUID(result.id))
    assert (row.status, row.last_error) == (Status.FAILED, "Revoked.")
    assert row.discarded_at is not None


def arrived(id_: str, attempt: int = 1) -> Context:
    """The request of a delivery, as a worker's main process has it."""
    return Context(id=id_, headers={"outbox_attempt": attempt}, hostname="worker-1")


def test_a_discarded_duplicate_does_not_close_the_run_at_work() -> None:
    """The other copy has been taken up: its outcome counts."""
    result = leased.delay()

    def behave(_: Any) -> str:
        call_off_revoked(request=arrived(result.id), expired=True)
        return "done"

    assert run(behave) == "done"
    assert Message.objects.get().consumed_at is not None


@pytest.mark.parametrize("attempt", [0, 1, 2])
def test_a_forged_delivery_that_expired_closes_no_row_that_waits(attempt: int) -> None:
    """No row, no work, and no end either."""
    result = leased.apply_async(countdown=3600)
    call_off_revoked(request=arrived(result.id, attempt), expired=True)
    assert Message.objects.get().status == Status.PENDING


def test_a_discarded_copy_does_not_wait_for_the_one_at_work() -> None:
    """The main process has other children to serve."""
    result = transactional.delay()
    claims.claim(1)
    with transaction.atomic():
        assert consumption.consume(UUID(result.id), 1)
        discarding = in_background(lambda: call_off_revoked(request=arrived(result.id), expired=True))
        assert discarding.result(timeout=5) is None
    assert Message.objects.get().consumed_at is not None


def test_a_run_that_was_killed_is_closed() -> None:
    """Revoked while at work: the end of its lease would bring it back."""
    result = leased.delay()
    claims.claim(1)
    assert consumption.take_lease(UUID(result.id), 1, 300, worker="worker-1")
    call_off_revoked(request=arrived(result.id), terminated=True)
    wait_until(lambda: Message.objects.get().discarded_at, "the row to be closed")


@pytest.mark.parametrize("task", [leased, transactional, by_hand], ids=["leased", "transactional", "manual"])
def test_a_delivery_forged_for_another_task_does_nothing(task: Any) -> None:
    """It neither runs, nor consumes, nor fails the row that it names: that one is addressed to another."""
    sample.add.delay(1)
    (claimed,) = claims.claim(1).messages
    ran: list[Any] = []
    BEHAVIOUR["now"] = lambda t, *_: consumption.consume(*delivery_of(t)) and ran.append("ran")
    deliver(claimed._replace(consumer=task.name))
    BEHAVIOUR["now"] = raising(ValueError("on purpose"))
    deliver(claimed._replace(consumer=task.name))
    row = Message.objects.get()
    assert (row.status, row.consumed_at, ran) == (Status.PROCESSING, None, [])


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
def test_the_result_is_written_with_the_mark(task: Any, monkeypatch) -> None:
    """Celery's result row commits with the message's mark: no crash comes between them."""
    id_ = task.delay(1).id
    with monkeypatch.context() as broken:
        broken.setattr("outbox.deliveries.record_success", raising(OperationalError("server closed")))
        run(lambda _, n: n + 1)
    assert (task.AsyncResult(id_).state, Message.objects.get().consumed_at) == ("PENDING", None)
    _begin_anew()
    run(lambda _, n: n + 1)
    assert (task.AsyncResult(id_).state, task.AsyncResult(id_).result) == ("SUCCESS", 2)
    assert Message.objects.get().consumed_at is not None


@BOTH
def test_a_chords_body_is_written_with_the_count_and_the_mark(task: Any, monkeypatch) -> None:
    """When the body cannot be written, the last task of the header has not happened, and does so again."""
    chord([task.s(1), task.s(2)], sample.total.s()).apply_async()
    run(lambda _, n: n)
    with monkeypatch.context() as broken:
        broken.setattr("outbox.capture.insert", raising(OperationalError("server closed the connection")))
        run()
    assert not Message.objects.filter(type="sample.total").exists()
    assert ChordCounter.objects.get().count == 1
    _begin_anew()
    run()
    assert Message.objects.get(type="sample.total").payload["args"] == [[1, 2]]
    assert not ChordCounter.objects.exists()


@BOTH
def test_a_redriven_task_is_not_counted_twice_in_its_chord(task: Any) -> None:
    """Its failure was its part; the others' are still awaited."""
    chord([task.s(n) for n in range(3)], sample.total.s()).apply_async()
    run(raising(ValueError("no")))
    assert ChordCounter.objects.get().count == 2
    redrive(Message.objects.filter(status=Status.FAILED).values_list("id", flat=True))
    for _ in range(2):
        run(lambda _, n: n)
    assert ChordCounter.objects.get().count == 1


@BOTH
def test_errbacks_are_written_with_the_failure(task: Any, monkeypatch) -> None:
    """They are rows of the same transaction, and Celery is left none to send."""
    task.apply_async(link_error=sample.total.s())
    told = run(raising(ValueError("no")))
    assert isinstance(told, ValueError)
    assert Message.objects.get(type="sample.total").payload["args"] == [
        str(Message.objects.get(type=task.name).id)
    ]


@BOTH
def test_an_errback_that_breaks_the_transaction_does_not_undo_the_failure(task: Any, monkeypatch) -> None:
    """What it broke is rolled back; that the task failed is kept."""
    task.apply_async(link_error=sample.total.s())
    monkeypatch.setattr("outbox.capture.insert", lambda _: connection.cursor().execute("SELECT 1/0"))
    run(raising(ValueError("no")))
    assert (Message.objects.get().status, Message.objects.get().last_error) == (
        Status.FAILED,
        "ValueError: no",
    )


@BOTH
def test_rejected_to_be_queued_again_it_runs_again(task: Any) -> None:
    """After a pause: in plain Celery it would come back at once, and for ever."""
    task.delay()
    assert isinstance(run(raising(Reject("later", requeue=True))), Retry)
    assert Message.objects.get().status == Status.PENDING


@BOTH
def test_a_chain_that_replaces_is_written_with_the_mark(task: Any, monkeypatch) -> None:
    """And its last task takes over the row of the replaced one, whose deliveries stay refused."""
    result = task.delay(1)
    run(lambda t, n: t.replace(chain(sample.add.s(n), sample.add.s(b=5))))
    replaced = Message.objects.get(pk=UUID(result.id))
    assert replaced.consumed_at is not None
    run()
    last = Message.objects.get(pk=UUID(result.id))
    assert (last.type, last.status, last.attempts, last.payload["args"]) == ("sample.add", "pending", 1, [1])


def test_a_row_is_consumed_though_its_task_has_opted_out() -> None:
    """It was written before, or by hand: what is not consumed would be sent again and again."""
    with transaction.atomic():
        send_command("sample.undurable", {})
    run()
    assert Message.objects.get().consumed_at is not None

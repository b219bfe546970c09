"""What Celery makes of a task's end is written in the transaction that marks its message."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from celery import chain, chord
from django.db import OperationalError, connection
from django_celery_results.models import ChordCounter

from outbox.models import Message, Status
from outbox.redrive import redrive
from tests.integration.outbox import sample
from tests.integration.outbox.delivering import (
    BOTH,
    begin_anew,
    raising,
    run,
)

pytestmark = pytest.mark.django_db(transaction=True)


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
def test_the_result_is_written_with_the_mark(task: Any, monkeypatch) -> None:
    """Celery's result row commits with the message's mark: no crash comes between them."""
    id_ = task.delay(1).id
    with monkeypatch.context() as broken:
        broken.setattr("outbox.deliveries.record_success", raising(OperationalError("server closed")))
        run(lambda _, n: n + 1)
    assert (task.AsyncResult(id_).state, Message.objects.get().consumed_at) == ("PENDING", None)
    begin_anew()
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
    begin_anew()
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
def test_a_chain_that_replaces_is_written_with_the_mark(task: Any, monkeypatch) -> None:
    """And its last task takes over the row of the replaced one, whose deliveries stay refused."""
    result = task.delay(1)
    run(lambda t, n: t.replace(chain(sample.add.s(n), sample.add.s(b=5))))
    replaced = Message.objects.get(pk=UUID(result.id))
    assert replaced.consumed_at is not None
    run()
    last = Message.objects.get(pk=UUID(result.id))
    assert (last.type, last.status, last.attempts, last.payload["args"]) == ("sample.add", "pending", 1, [1])

"""What happens where a durable task is called: one INSERT for a group, no broker, Celery's own signals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from celery import chain, chord, group
from celery.signals import after_task_publish, before_task_publish
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from kombu.exceptions import EncodeError
from redis import Redis

from outbox.application import DurableCelery
from outbox.exceptions import OutboxError
from outbox.models import Message
from tests.integration.outbox.drop_in.applications import durable, make
from tests.integration.outbox.drop_in.conftest import Tasks
from tests.integration.outbox.drop_in.work import register

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tasks() -> Iterator[Tasks]:
    """Tasks of an application whose broker is away."""
    app = make(DurableCelery, "away")
    app.conf.broker_url = "redis://127.0.0.1:9"
    yield Tasks(app)
    app.close()


def _inserts(call: Any) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        call()
    return sum(
        "INTO outbox_message" in query["sql"] or "COPY outbox_message" in query["sql"] for query in queries
    )


@pytest.mark.parametrize(
    ("make_call", "rows"),
    [
        (lambda t: group(t.add.s(i, i) for i in range(10)), 10),
        (lambda t: t.add.chunks([(i, i) for i in range(10)], 2), 5),
        (lambda t: t.add.starmap([(1, 2), (3, 4)]), 1),
        (lambda t: chord([t.add.s(i, i) for i in range(10)], t.xsum.s()), 10),
        (lambda t: chain(t.add.s(1, 1), t.mul.s(2)), 1),
        (lambda t: group(chord([t.add.s(1, 1), t.add.s(2)], t.xsum.s()), t.add.s(3, 3)), 3),
    ],
    ids=["group", "chunks", "starmap", "chord", "chain", "chord in a group"],
)
def test_a_canvas_is_one_insert(tasks: Tasks, make_call: Any, rows: int) -> None:
    """However many tasks it begins with; the broker, which is away, is not asked."""
    canvas = make_call(tasks)
    with transaction.atomic():
        assert _inserts(canvas.apply_async) == 1
    assert Message.objects.count() == rows


@pytest.mark.parametrize("outer", [True, False], ids=["in a transaction", "outside"])
def test_a_transaction_under_a_shared_producer_keeps_its_own(tasks: Tasks, outer: bool) -> None:
    """Its messages commit and roll back with it, not with the block around it."""
    with transaction.atomic() if outer else nullcontext(), tasks.app.producer_or_acquire() as producer:
        with suppress(RuntimeError), transaction.atomic():
            tasks.add.apply_async((1,), producer=producer)
            tasks.add.delay(2)
            raise RuntimeError
        with transaction.atomic():
            tasks.add.delay(3)
            assert Message.objects.count() == 1
            group(tasks.add.s(4), tasks.add.s(5)).apply_async()
            assert Message.objects.count() == 3
        tasks.add.delay(6)
    assert Message.objects.count() == 4


def test_a_group_that_fails_on_the_way_is_not_called_at_all(tasks: Tasks) -> None:
    """Plain Celery would have sent its first members."""
    with pytest.raises(EncodeError):
        group(tasks.add.s(1, 1), tasks.add.s(object(), 1)).apply_async()
    assert not Message.objects.exists()


def test_celerys_publish_signals_fire_where_the_task_is_called(tasks: Tasks) -> None:
    """Headers that a tracer adds before are kept; after means: written."""
    heard: list[str] = []

    def before(headers: dict[str, Any], **_: Any) -> None:
        heard.append("before")
        headers["sentry-trace"] = "abc"

    def after(sender: str, headers: dict[str, Any], **_: Any) -> None:
        heard.append(f"after {sender} {headers['sentry-trace']}")

    before_task_publish.connect(before)
    after_task_publish.connect(after)
    try:
        tasks.add.delay(1, 2)
    finally:
        before_task_publish.disconnect(before)
        after_task_publish.disconnect(after)
    assert heard == ["before", "after work.add abc"]
    assert Message.objects.get().headers["celery"]["headers"]["sentry-trace"] == "abc"


def test_a_name_is_captured_where_its_task_is_durable(tasks: Tasks) -> None:
    """``send_task`` takes the task's own options, and a countdown becomes the row's due time."""
    result = tasks.app.send_task("work.soft_limit", countdown=60, queue="special")
    row = Message.objects.get()
    assert (str(row.id), row.consumer, row.queue) == (result.id, "work.soft_limit", "special")
    assert row.headers["celery"]["headers"]["timelimit"] == [None, 0.3]
    assert row.next_attempt_at > datetime.now(UTC) + timedelta(seconds=50)


def test_a_name_that_is_not_known_here_goes_to_the_broker(broker: Redis) -> None:
    """Another project's task: whether it is durable is known there."""
    durable.send_task("elsewhere.task", queue="elsewhere")
    assert not Message.objects.exists()
    assert broker.llen("elsewhere") == 1


def test_times_with_and_without_a_zone(tasks: Tasks) -> None:
    """A time without a zone is UTC's, as Celery's workers take it."""
    tasks.add.apply_async((1,), eta="2031-05-01T12:00:00+02:00", expires=datetime(2031, 5, 2, tzinfo=UTC))
    tasks.add.apply_async((1,), eta=datetime(2031, 5, 1, 12))  # noqa: DTZ001  (that is the case)
    aware, naive = Message.objects.order_by("next_attempt_at")
    assert aware.next_attempt_at == datetime(2031, 5, 1, 10, tzinfo=UTC)
    assert aware.headers["celery"]["headers"]["expires"] == "2031-05-02T00:00:00+00:00"
    assert naive.next_attempt_at == datetime(2031, 5, 1, 12, tzinfo=UTC)


def test_a_name_for_an_id_gets_a_row_of_its_own(tasks: Tasks) -> None:
    """Celery allows any text; the row's id is made of it, always the same."""
    tasks.add.apply_async((1,), task_id="report-7")
    row = Message.objects.get()
    assert isinstance(row.id, UUID)
    assert row.headers["celery"]["headers"]["id"] == "report-7"


@pytest.mark.parametrize("serializer", ["pickle", "yaml"])
def test_another_serializer_is_refused(tasks: Tasks, serializer: str) -> None:
    """With what to do about it."""
    with pytest.raises(OutboxError, match=f"{serializer}.*durable=False"):
        tasks.add.apply_async((1,), serializer=serializer)


@pytest.mark.parametrize("value", [object(), float("nan"), "nul \x00 byte"], ids=["object", "NaN", "NUL"])
def test_what_the_database_cannot_hold_is_refused(tasks: Tasks, value: object) -> None:
    """Where it is given, and without harm to the transaction."""
    with transaction.atomic():
        with pytest.raises(EncodeError, match="outbox cannot keep"):
            tasks.add.delay(value)
        tasks.add.delay(r"a backslash and \u0000 as text")
    assert Message.objects.count() == 1


def test_one_call_opts_out_only_where_it_would_run(broker: Redis) -> None:
    """Workers run what came through the outbox, unless the task accepts foreign messages, too."""
    add = durable.tasks["work.add"]
    with pytest.raises(OutboxError, match="accepts_foreign=True"):
        add.apply_async((1,), durable=False)
    durable.tasks["work.foreign"].apply_async((1,), durable=False)
    assert not Message.objects.exists()
    assert broker.llen("durable") == 1


def test_eager_tasks_run_at_once(tasks: Tasks) -> None:
    """``task_always_eager`` is for tests: no row, links and chains included."""
    tasks.app.conf.task_always_eager = True
    assert chain(tasks.add.s(1, 2), tasks.mul.s(10)).apply_async().get() == 30
    assert tasks.retry_once.delay(7).get() == [1, 7]
    assert tasks.add.apply((1, 2)).get() == 3
    assert not Message.objects.exists()


def test_celerys_annotations_say_which_tasks_are_durable(broker: Redis) -> None:
    """So a project moves task by task, by a setting."""
    app = DurableCelery("annotated", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.task_default_queue = "annotated"
    app.conf.task_annotations = {"*": {"accepts_foreign": True}, "work.mul": {"durable": False}}
    register(app)
    app.tasks["work.add"].delay(1)
    app.tasks["work.mul"].delay(1, 2)
    assert app.tasks["work.add"].accepts_foreign
    assert Message.objects.get().type == "work.add"
    assert broker.llen("annotated") == 1


def test_an_id_is_used_once(tasks: Tasks) -> None:
    """A row stands for it, and for what became of it."""
    tasks.add.apply_async((1,), task_id="report-7")
    with pytest.raises(IntegrityError):
        tasks.add.apply_async((2,), task_id="report-7")

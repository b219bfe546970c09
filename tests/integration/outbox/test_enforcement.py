"""Work that would slip past the outbox is found where it is made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery, Task, shared_task
from django.db import connections, transaction
from redis import Redis

from outbox import checks
from outbox.api import (
    BypassesOutbox,
    BypassWarning,
    Message,
    OutboxError,
    PublishOutsideTransaction,
    WrongDatabase,
    event,
    publish,
    receive,
    subscribe,
)
from tests.integration.outbox.sample import Moved, NobodyCares, add, undurable

MOVED = Moved(1, "a")
real_transactions = pytest.mark.django_db(transaction=True)


@pytest.fixture
def enforce(settings):
    """Sets what enforcement does."""

    def choose(how: str) -> None:
        settings.OUTBOX = {**settings.OUTBOX, "ENFORCE": how}

    return choose


@pytest.fixture
def other_database(tmp_path: Path, django_db_setup, django_db_blocker) -> Iterator[str]:
    """Another database, on which a transaction can be open; nothing that the test does to the first one stays."""
    sqlite3.connect(tmp_path / "other.sqlite3").close()
    own = connections["default"].settings_dict
    other = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "other.sqlite3"), "OPTIONS": {}}
    connections.settings["other"] = {**own, **other, "CONN_HEALTH_CHECKS": False}
    with django_db_blocker.unblock():
        yield "other"
    connections["other"].close()
    del connections["other"], connections.settings["other"]


def test_publishing_in_a_transaction_of_another_database_is_an_error(other_database: str) -> None:
    """The change would commit without its messages: the error names both databases."""
    with (
        transaction.atomic(using=other_database),
        pytest.raises(WrongDatabase, match="'other', but the outbox is in 'default'"),
    ):
        publish(MOVED)


def test_a_transaction_of_the_outboxs_database_is_enough(other_database: str) -> None:
    """Whatever else is open."""
    with transaction.atomic(), transaction.atomic(using=other_database):
        publish(MOVED)
        assert Message.objects.count() == 1
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_the_transaction_around_a_test_does_not_hide_a_forgotten_one() -> None:
    """What would fail in production fails in the test, too."""
    with pytest.raises(PublishOutsideTransaction):
        publish(MOVED)
    with pytest.raises(PublishOutsideTransaction):
        receive("billing", "m-1")
    with transaction.atomic():
        publish(MOVED)


@real_transactions
def test_a_task_that_is_not_durable_is_refused_inside_a_transaction(enforce, broker: Redis) -> None:
    """It would run though the transaction rolls back."""
    enforce("raise")
    with transaction.atomic(), pytest.raises(BypassesOutbox, match="undurable"):
        undurable.delay()
    assert not broker.keys("*")
    undurable.delay()
    assert broker.llen("default") == 1


@real_transactions
@pytest.mark.parametrize("task", [undurable, add], ids=["not durable", "durable"])
def test_a_task_sent_by_a_commit_hook_is_refused(enforce, task: Task, broker: Redis) -> None:
    """A crash between the commit and the hook loses it, durable or not."""
    enforce("raise")
    with pytest.raises(BypassesOutbox, match="on_commit"), transaction.atomic():
        transaction.on_commit(lambda: task.apply_async(() if task is undurable else (1,)))
    assert not Message.objects.exists()
    assert not broker.keys("*")


@real_transactions
def test_enforcement_can_warn(enforce) -> None:
    """The task is sent, and the warning points to the line that sent it."""
    enforce("warn")
    with pytest.warns(BypassWarning, match="inside the transaction instead") as told, transaction.atomic():
        transaction.on_commit(lambda: add.delay(1))
    assert told[0].filename == __file__
    with pytest.warns(BypassWarning, match="not durable") as told, transaction.atomic():
        undurable.apply_async()
    assert told[0].filename == __file__
    assert Message.objects.count() == 1


@real_transactions
def test_enforcement_can_be_off(enforce) -> None:
    """For a project on its way onto the platform."""
    enforce("off")
    with transaction.atomic():
        undurable.delay()
        transaction.on_commit(lambda: add.delay(1))
    assert Message.objects.count() == 1


@real_transactions
def test_the_recommended_way_is_not_complained_about(enforce) -> None:
    """A durable task inside the transaction."""
    enforce("raise")
    with transaction.atomic():
        add.delay(1)
    add.delay(2)
    assert Message.objects.count() == 2


def test_a_setting_that_nobody_knows_is_found(enforce) -> None:
    """By the system check."""
    enforce("loudly")
    assert [found.id for found in checks.check_settings(None)] == ["outbox.E002"]


def test_an_event_without_subscribers_is_found() -> None:
    """By the system check, before somebody publishes it."""
    found = [problem for problem in checks.check_events(None) if "sample.nobody_cares" in problem.msg]
    assert [problem.id for problem in found] == ["outbox.W002"]
    assert not [problem for problem in checks.check_events(None) if "sample.optional" in problem.msg]


def test_two_events_of_one_name_are_refused() -> None:
    """Where the second is declared."""
    with pytest.raises(OutboxError, match="declared twice"):
        event("sample.moved")(NobodyCares)


def test_two_subscribers_of_one_name_are_refused() -> None:
    """Celery would run only one of them."""

    def follow(event: Moved) -> None:
        """Another function of a subscriber's name."""

    with pytest.raises(
        OutboxError, match=r"tests\.integration\.outbox\.sample\.follow and .*<locals>\.follow"
    ):
        subscribe(Moved)(follow)


def test_a_task_in_the_place_of_a_subscriber_is_found(monkeypatch) -> None:
    """By the system check: that task would run instead."""
    assert checks.check_subscribers(None) == []
    monkeypatch.setitem(add.app.tasks, "tests.follow", add)
    (problem,) = checks.check_subscribers(None)
    assert (problem.id, "'tests.follow'" in problem.msg) == ("outbox.E003", True)


def test_tasks_that_go_past_the_outbox_are_found(monkeypatch) -> None:
    """An application without our task class, or a task of another one; who means it says so."""
    plain = Celery("plain", set_as_current=False)
    monkeypatch.setattr(checks, "current_app", plain)

    @plain.task(name="plain.lost")
    def lost() -> None:
        """May be lost."""

    @plain.task(name="plain.meant", durable=False)
    def meant() -> None:
        """May be lost, and that is all right."""

    (problem,) = checks.check_tasks(None)
    assert problem.id == "outbox.W004"
    assert "can be lost: plain.lost, " in problem.msg
    assert "plain.meant" not in problem.msg


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"ordered_by": "colour"}, "does not have"), ({"when_failed": "shrug"}, "block or pass")],
)
def test_wrong_order_options_are_refused(options: dict[str, str], problem: str) -> None:
    """Where the event is declared."""
    with pytest.raises(OutboxError, match=problem):
        event("sample.never", **options)(NobodyCares)  # type: ignore[arg-type]


@shared_task(name="sample.unused")
def unused() -> None:
    """Keeps the application's own tasks among those that are looked at."""


def test_the_projects_own_tasks_are_durable() -> None:
    """Those that are not say so."""
    assert checks.check_tasks(None) == []

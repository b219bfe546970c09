"""``outbox.testing``: what applications test with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from celery import shared_task
from django.contrib.auth.models import Group
from django.db import transaction

from outbox.api import (
    Message,
    PermanentError,
    RetryPolicy,
    Status,
    event,
    publish,
    publish_all,
    send_command,
    subscribe,
)
from outbox.models import Pause
from outbox.relay import handing_over
from outbox.relay.per_process import PerProcess
from outbox.testing import (
    DeliveryFailed,
    Published,
    assert_nothing_published,
    assert_published,
    drain,
    published,
)
from tests.integration.outbox.sample import Moved, add

pytestmark = pytest.mark.django_db

BEHAVIOUR: dict[str, Callable[[str], object]] = {}


@event("sample.told", ordered_by="topic")
@dataclass(frozen=True)
class Told:
    topic: str
    text: str


@subscribe(Told, retry=RetryPolicy(max_attempts=3, initial=60, jitter=0))
def hear(event: Told) -> None:
    """Does what the test says."""
    Group.objects.create(name=event.text)
    BEHAVIOUR["hear"](event.text)


@subscribe(Told)
def write_down(event: Told) -> None:
    """Another one."""


@shared_task(
    name="sample.follow_up", bind=True, autoretry_for=(ValueError,), retry_backoff=False, max_retries=1
)
def follow_up(task: Any, text: str) -> None:
    """A durable task that retries as Celery does."""
    BEHAVIOUR["hear"](text)


@pytest.fixture(autouse=True)
def _behave() -> None:
    BEHAVIOUR["hear"] = lambda _: None


def tell(*texts: str) -> None:
    """Publish, in a transaction of its own."""
    with transaction.atomic():
        publish_all(Told("weather", text) for text in texts)


def raising(*texts: str, error: Exception | None = None) -> None:
    """Let the consumer fail at these."""

    def behave(text: str) -> None:
        if text in texts:
            raise error or ValueError("no ears")

    BEHAVIOUR["hear"] = behave


def test_what_was_published_is_found_by_its_fields() -> None:
    """An event once, however many subscribers it has."""
    tell("rain", "sun")
    assert assert_published(Told, text="sun").event == Told("weather", "sun")
    assert [found.fields["text"] for found in published(Told)] == ["rain", "sun"]
    assert_published("sample.told", times=2, topic="weather")
    assert_published(Told, times=0, text="snow")
    assert_nothing_published(Moved)


def test_tasks_and_commands_are_found_by_their_arguments() -> None:
    """By their names, however they were given."""
    add.delay(1, b=2)
    add.apply_async((), {"a": 3})
    with transaction.atomic():
        send_command("sample.follow_up", {"text": "x"})
    assert assert_published(add, a=1, b=2).message.consumer == "sample.add"
    assert_published("sample.add", times=1, a=3)
    assert_published(follow_up, text="x")
    assert [str(found) for found in published()] == [
        "sample.add(a=1, b=2)",
        "sample.add(a=3)",
        "sample.follow_up(text='x')",
    ]


def test_what_was_not_published_fails_with_what_was() -> None:
    """The message says all that a person needs."""
    with pytest.raises(
        AssertionError, match=r"sample.told\(text='snow'\) was not published. Published: nothing"
    ):
        assert_published(Told, text="snow")
    tell("rain")
    with pytest.raises(AssertionError, match=r"Published: sample.told\(topic='weather', text='rain'\)"):
        assert_published(Told, text="snow")
    with pytest.raises(AssertionError, match="was published 1 times, not 2"):
        assert_published(Told, times=2)
    with pytest.raises(AssertionError, match=r"Published: sample\.told"):
        assert_nothing_published()


def test_what_was_rolled_back_was_not_published() -> None:
    """The rows are the truth."""
    with pytest.raises(RuntimeError), transaction.atomic():
        publish(Told("weather", "rain"))
        raise RuntimeError
    assert_nothing_published()


def test_drain_delivers_until_nothing_is_due() -> None:
    """Also what the consumers publish themselves."""
    BEHAVIOUR["hear"] = lambda text: follow_up.delay("on") if text == "go" else None
    tell("go")
    drained = drain()
    assert sorted(str(delivered) for delivered in drained.attempts) == [
        "sample.follow_up, attempt 1: consumed",
        "tests.hear, attempt 1: consumed",
        "tests.write_down, attempt 1: consumed",
    ]
    assert drained.waiting == 0
    assert set(Message.objects.values_list("status", flat=True)) == {Status.SENT}
    assert drain().attempts == []


def test_a_message_of_a_key_waits_for_the_one_before_it() -> None:
    """Order is that of production: a head in backoff holds its key."""
    raising("one")
    tell("one", "two")
    heard = [delivered for delivered in drain().attempts if delivered.consumer == "tests.hear"]
    assert [delivered.outcome for delivered in heard] == ["waiting"]
    raising()
    drain(travel=timedelta(hours=1))
    assert list(
        Group.objects.filter(name__in=["one", "two"]).order_by("id").values_list("name", flat=True)
    ) == [
        "one",
        "two",
    ]


def test_a_failed_attempt_is_rolled_back_and_waits_for_its_time() -> None:
    """What the retry policy says; the effect of the attempt is gone."""
    raising("one")
    tell("one")
    drained = drain()
    (failed,) = drained.of("waiting")
    assert (failed.attempt, failed.error) == (1, "ValueError: no ears")
    assert drained.waiting == 1
    assert not Group.objects.filter(name="one").exists()


def test_time_can_be_travelled_through_all_attempts_to_the_end() -> None:
    """The last failure is the test's, with its cause; unless it is what the test wants to see."""
    raising("one")
    tell("one")
    with pytest.raises(DeliveryFailed, match=r"tests\.hear, attempt 3: failed") as told:
        drain(travel=timedelta(hours=1))
    assert isinstance(told.value.__cause__, ValueError)
    tell("two")
    raising("two", error=PermanentError("never"))
    Message.objects.filter(status=Status.FAILED).delete()
    assert [delivered.error for delivered in drain(check=False).of("failed")] == ["PermanentError: never"]


def test_travel_goes_only_so_far() -> None:
    """A message of tomorrow is not due in an hour."""
    with transaction.atomic():
        publish(Told("weather", "tomorrow"), delay=timedelta(days=1))
        publish(Told("news", "soon"), delay=timedelta(minutes=5))
    assert drain(travel=timedelta(hours=1)).waiting == 2
    assert set(Group.objects.filter(name__in=["tomorrow", "soon"]).values_list("name", flat=True)) == {"soon"}
    assert drain(travel=timedelta(days=2)).waiting == 0


def test_tasks_retry_as_celery_has_it() -> None:
    """``autoretry_for`` and ``max_retries``."""
    raising("x")
    follow_up.delay("x")
    drained = drain(travel=timedelta(hours=1), check=False)
    assert [delivered.outcome for delivered in drained.attempts] == ["waiting", "failed"]


def test_what_cannot_be_sent_is_failed_as_by_a_relay() -> None:
    """A type that nobody handles."""
    with transaction.atomic():
        send_command("sample.ad", {})
    with pytest.raises(DeliveryFailed, match=r"Did you mean 'sample\.add'"):
        drain()


def test_a_pause_holds_here_too() -> None:
    """What an operator paused waits."""
    Pause.objects.create(scope="type", value="sample.told", reason="test")
    tell("one")
    drained = drain()
    assert (drained.attempts, drained.waiting) == ([], 2)


def test_a_loop_is_found() -> None:
    """Two consumers that keep each other busy do not keep the test busy for ever."""
    BEHAVIOUR["hear"] = follow_up.delay
    follow_up.delay("again")
    with pytest.raises(AssertionError, match="After 20 attempts"):
        drain(limit=20)


@pytest.mark.django_db(transaction=True)
def test_it_works_with_real_transactions_too() -> None:
    """The same, committed."""
    raising("one")
    tell("one")
    assert len(drain().of("waiting")) == 1
    raising()
    assert drain(travel=timedelta(minutes=2)).waiting == 0
    assert_published(Told, text="one")


def test_the_fixture_has_it_all(outbox: ModuleType, settings: Any) -> None:
    """And keeps commits from waking anybody."""
    tell("one")
    assert isinstance(outbox.assert_published(Told, text="one"), Published)
    assert len(outbox.drain().of("consumed")) == 2
    assert settings.OUTBOX["WAKE_UP"] == ()


def test_it_needs_no_fixture(settings: Any) -> None:
    """Nothing is committed in a test case: what is published there is not kept for its writer to send."""
    settings.OUTBOX = {"WAKE_UP": ("direct", "task")}
    follow_up.delay("one")
    assert len(drain().of("consumed")) == 1
    assert not Message.objects.exclude(consumed_at__isnull=False).exists()


@pytest.mark.django_db(transaction=True)
def test_what_follows_from_a_delivery_is_delivered_too(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else is asked to send what is published while it works, also where the application sends at once."""
    follow_up.delay("one")
    settings.OUTBOX = {"WAKE_UP": ("direct", "task")}
    nobody: list[str] = []
    monkeypatch.setattr(handing_over, "_courier", PerProcess(lambda: nobody.append("hired"), bool))
    BEHAVIOUR["hear"] = lambda text: follow_up.delay("two") if text == "one" else None
    assert len(drain().of("consumed")) == 2
    assert nobody == []

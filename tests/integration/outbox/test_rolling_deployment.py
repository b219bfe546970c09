"""Old and new code at the same time, in real workers: messages find those who know them."""

from __future__ import annotations

import pytest
from django_celery_results.models import TaskResult

from outbox import claims
from outbox.deliveries import Delivery
from outbox.models import Attempt, Message, Status
from outbox.relay.engine import Relay
from outbox.strangers import hand_back
from tests.harness.processes import Platform, Process
from tests.harness.waiting import wait_until
from tests.integration.outbox import sample

pytestmark = pytest.mark.django_db(transaction=True)

UNKNOWN = Attempt.objects.filter(stage=Attempt.Stage.UNKNOWN)


def new_worker(platform: Platform) -> Process:
    """One that has the tasks of the tests, which the application itself has not."""
    return platform.worker("default", concurrency=1, include=sample.__name__)


def test_a_task_that_an_old_worker_does_not_have_is_done_by_a_new_one(platform: Platform) -> None:
    """The old one hands it back, and says so; nobody who waits for the result is told that it failed."""
    platform.worker("default", concurrency=1, OUTBOX_UNKNOWN_TYPE_PATIENCE="300")
    result = sample.add.apply_async((1, 2), queue="default")
    relay = Relay()

    def known_to_nobody() -> bool:
        relay.turn()
        return UNKNOWN.count() >= 2

    wait_until(known_to_nobody, "the old worker to hand it back twice")
    wait_until(lambda: not TaskResult.objects.exists(), "Celery's own word of it to be taken back")
    row = Message.objects.get()
    assert (row.status in (Status.PENDING, Status.PROCESSING, Status.SENT), row.attempts <= 1) == (True, True)
    first = UNKNOWN.order_by("id")[0]
    assert f"has no task {sample.add.name!r}" in first.error
    assert first.worker.startswith("default-")
    platform.processes[-1].stop()
    new_worker(platform)

    def done() -> bool:
        relay.turn()
        return Message.objects.exclude(consumed_at=None).exists()

    wait_until(done, "the new worker to do it", timeout=60)
    assert Message.objects.get().attempts == 1
    wait_until(lambda: result.state == "SUCCESS", "its result")
    assert result.get() == 3


def test_a_task_that_no_worker_comes_to_have_is_failed_with_the_reason(platform: Platform) -> None:
    """Dropped by Celery each time, and not lost: in the end a person sees it, and why."""
    platform.worker("default", concurrency=1)
    sample.add.apply_async((1,), queue="default")
    relay = Relay()

    def failed() -> bool:
        relay.turn()
        return Message.objects.filter(status=Status.FAILED).exists()

    wait_until(failed, "it to be Failed")
    assert f"has no task {sample.add.name!r}" in Message.objects.get().last_error


@pytest.mark.parametrize(("task", "goes_back"), [("sample.add", True), ("no.such_task", False)])
def test_only_a_delivery_that_names_the_task_of_the_row_speaks_for_it(
    messages, task: str, goes_back: bool
) -> None:
    """A message that somebody forged for an unknown task changes nothing."""
    ids = messages(1)
    claims.settle_sent(claims.claim(1), ids)
    hand_back(Delivery(ids[0], 1, 1, "", "", "worker"), task, str(ids[0]))
    assert (Message.objects.get().status == Status.PENDING) == UNKNOWN.exists() == goes_back

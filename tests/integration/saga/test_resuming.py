"""A person's resume: time and tries enough, and no confusion with attempts from before."""

from __future__ import annotations

from datetime import timedelta

from celery.exceptions import Ignore
from django.db.models.functions import Now
from django.utils import timezone

from outbox.models import Message
from outbox.saga.api import StepCall, resume
from outbox.saga.models import Saga, SagaStep
from outbox.saga.watchdog import sweep
from tests.integration.saga.conftest import (
    Killed,
    World,
    deliver,
    raising,
    run_to_the_end,
    sent,
    status,
    step,
)


def pass_the_deadline() -> None:
    """The saga's time is over, and the watchdog comes by."""
    Saga.objects.update(deadline_at=Now() - timedelta(seconds=1))
    assert sweep().past_deadline == 1


def test_a_resumed_saga_gets_a_new_deadline(voyage: Saga, world: World) -> None:
    """Parked at its deadline and resumed, it is not parked again by the next round."""
    step()
    pass_the_deadline()
    resume(voyage.id, actor="olga", reason="the service is back")
    assert sweep().past_deadline == 0
    voyage.refresh_from_db()
    assert timezone.now() + timedelta(hours=23) < voyage.deadline_at < timezone.now() + timedelta(hours=25)
    run_to_the_end()
    assert status(voyage) == "completed"


def test_a_resumed_step_waits_for_its_message_from_now_on(saga: Saga) -> None:
    """It is not taken for an orphan because it was scheduled long ago."""
    SagaStep.objects.update(scheduled_at=Now() - timedelta(hours=1))
    Message.objects.all().delete()
    assert sweep().orphaned == 1
    resume(saga.id, actor="olga", reason="again")
    assert SagaStep.objects.get().scheduled_at > timezone.now() - timedelta(minutes=1)


def test_a_resumed_step_has_a_fresh_set_of_tries_and_counts_its_attempts_on(
    voyage: Saga, world: World
) -> None:
    """Two tries before, two after; the attempts are numbered through."""
    numbers: list[int] = []

    def down(call: StepCall) -> None:
        numbers.append(call.attempt)
        raise OSError("down")

    world.faults["thank"] = down
    run_to_the_end()
    resume(voyage.id, actor="olga", reason="again")
    run_to_the_end()
    assert numbers == [1, 2, 3, 4]
    assert status(voyage) == "needs_attention"
    row = SagaStep.objects.get(name="thank")
    assert (row.attempt, row.tries) == (4, 2)


def test_a_zombie_from_before_a_resume_is_refused(voyage: Saga, world: World) -> None:
    """It comes back while the resumed saga's attempt is at work: its failure is not taken for that one's."""
    step()
    (message,) = sent()

    def zombie(_: object) -> None:
        pass_the_deadline()
        resume(voyage.id, actor="olga", reason="again")
        world.faults["thank"] = raising(Killed())  # leaves the new attempt at work
        try:
            step()
        except Killed:
            raise OSError("the zombie fails late") from None

    world.faults["thank"] = zombie
    assert isinstance(deliver(message), Ignore)
    row = SagaStep.objects.get(name="thank")
    assert (row.status, row.attempt, row.last_error) == ("running", 2, "")

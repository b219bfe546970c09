"""What may have happened is undone, whatever is said of it later; what is past its pivot never is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery.exceptions import Retry, SoftTimeLimitExceeded
from django.db import connection, transaction
from django.db.models.functions import Now

from outbox.api import PermanentError
from outbox.audit import findings
from outbox.saga.api import cancel, resume
from outbox.saga.models import Saga, SagaStep, SagaTransition
from outbox.saga.watchdog import sweep
from tests.integration.saga.conftest import (
    Killed,
    Refusal,
    World,
    deliver,
    end_leases,
    raising,
    run_to_the_end,
    sent,
    states,
    status,
    step,
)


def test_a_refusal_after_an_attempt_without_an_answer_is_undone(saga: Saga, world: World) -> None:
    """The first attempt may have acted: that the second is refused does not take it back."""
    world.faults["book"] = raising(TimeoutError(), Refusal("the token is outdated"))
    run_to_the_end()
    assert world.names == ["pack", "book", "book", "unbook", "unpack"]
    assert states()[1] == ("second", "action", "unknown")
    assert world.ended == [("compensated", "No, thank you.")]
    assert findings() == []


def test_a_refusal_after_a_worker_died_is_undone(saga: Saga, world: World) -> None:
    """A lost lease is an attempt without an answer, too."""
    step()
    world.faults["book"] = raising(Killed(), Refusal("no"))
    with pytest.raises(Killed):
        deliver(sent()[0])
    end_leases()
    sweep()
    run_to_the_end()
    assert world.names[-2:] == ["unbook", "unpack"]
    assert states()[1] == ("second", "action", "unknown")


@pytest.mark.parametrize("error", [Refusal("no"), PermanentError("cannot be written down")])
def test_what_was_done_and_cannot_be_recorded_is_undone(saga: Saga, world: World, error: Exception) -> None:
    """An error of the record is no refusal, of whatever class: tried again as usual, and then undone."""
    world.faults["record book"] = raising(error)
    run_to_the_end()
    assert world.names == ["pack", "book", "book", "unbook", "unpack"]
    assert states()[1] == ("second", "action", "unknown")


def test_what_may_have_happened_before_a_resume_is_still_undone(saga: Saga, world: World) -> None:
    """Parked after an attempt without an answer, resumed, refused: the old attempt is not forgotten."""
    world.faults["book"] = raising(TimeoutError(), Refusal("no"))
    step()
    step()
    park()
    resume(saga.id, actor="olga", reason="again")
    run_to_the_end()
    assert states()[1] == ("second", "action", "unknown")
    assert status(saga) == "compensated"


def test_an_attempt_that_a_resume_takes_the_step_from_may_have_happened(saga: Saga, world: World) -> None:
    """Its worker may still be acting; when the next attempt is refused, the step is undone all the same."""
    step()
    world.faults["book"] = raising(Killed(), Refusal("no"))
    with pytest.raises(Killed):
        deliver(sent()[0])
    park()
    resume(saga.id, actor="olga", reason="again")
    run_to_the_end()
    assert states()[1] == ("second", "action", "unknown")


def test_a_step_called_off_between_attempts_is_undone_only_if_it_may_have_happened(
    saga: Saga, world: World
) -> None:
    """A local step's failed attempt was rolled back: nothing of it is left to be undone."""
    world.faults["pack"] = raising(OSError("disk"))
    step()
    cancel(saga.id, actor="ada", reason="changed my mind")
    run_to_the_end()
    assert world.names == ["pack"]
    assert states() == [("first", "action", "cancelled")]


def test_an_interrupted_attempt_may_have_happened(saga: Saga, world: World) -> None:
    """Celery's soft time limit ends the attempt: tried again with the same key, then undone."""
    world.faults["book"] = raising(SoftTimeLimitExceeded())
    step()
    (told,) = step()
    assert isinstance(told, Retry)
    assert "interrupted" in SagaStep.objects.get(name="second").last_error
    run_to_the_end()
    assert world.names == ["pack", "book", "book", "unbook", "unpack"]
    assert world.ended == [("compensated", "It could not be completed in time.")]


def test_an_interruption_in_the_middle_of_a_transaction_leaves_none_open(saga: Saga, world: World) -> None:
    """The time limit may strike while the work begins one: the outcome is committed all the same."""

    def interrupted(_: object) -> None:
        transaction.atomic().__enter__()
        raise SoftTimeLimitExceeded

    world.faults["book"] = interrupted
    step()
    step()
    assert not connection.in_atomic_block
    connection.close()  # what is not committed is gone
    assert "interrupted" in SagaStep.objects.get(name="second").last_error


def test_a_cancellation_that_meets_the_pivot_at_work_comes_too_late(voyage: Saga, world: World) -> None:
    """The pivot succeeds: the saga goes on to its end, with all its retries, and says so in its history."""
    world.faults["sail"] = lambda _: cancel(voyage.id, actor="ada", reason="changed my mind")
    world.faults["thank"] = raising(OSError("busy"), times=1)
    run_to_the_end()
    assert world.names == ["sail", "thank", "thank", "archive"]
    assert status(voyage) == "completed"
    assert (voyage.cancel_requested, voyage.reason) == (False, "")
    assert world.ended == [("completed", "")]
    note = SagaTransition.objects.get(what="too late to cancel")
    assert (note.step, note.detail) == ("sail", "changed my mind")


def test_a_cancelled_saga_past_its_pivot_still_has_a_deadline(voyage: Saga, world: World) -> None:
    """The cancellation that came too late does not hide it from the watchdog."""
    world.faults["sail"] = lambda _: cancel(voyage.id, actor="ada", reason="changed my mind")
    step()
    Saga.objects.update(deadline_at=Now() - timedelta(seconds=1))
    assert sweep().past_deadline == 1
    assert status(voyage) == "needs_attention"


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_step_that_may_have_happened_and_has_no_undo_waits_for_a_person(
    voyage: Saga, world: World, cancelled: bool
) -> None:
    """Nobody claims that all is undone, when nothing can undo it."""
    world.faults["sail"] = raising(TimeoutError())
    step()
    if cancelled:
        cancel(voyage.id, actor="ada", reason="changed my mind")
    run_to_the_end()
    assert world.names == ["sail", "sail"]
    assert states() == [("sail", "action", "unknown")]
    assert status(voyage) == "needs_attention"
    assert findings() == []


def test_a_cancelled_pivot_that_fails_is_undone(saga: Saga, world: World) -> None:
    """Only the pivot's success is too late."""
    step()
    step()

    def cancelled_and_lost(_: object) -> None:
        cancel(saga.id, actor="ada", reason="changed my mind")
        raise TimeoutError

    world.faults["depart"] = cancelled_and_lost
    run_to_the_end()
    assert world.names == ["pack", "book", "depart", "turn_round", "unbook", "unpack"]
    assert world.ended == [("compensated", "changed my mind")]


class Unreachable(ConnectionError):
    """The request never left."""

    may_have_happened = False


def test_an_attempt_that_certainly_did_not_act_leaves_no_doubt(saga: Saga, world: World) -> None:
    """It is tried again, and given up as failed: there is nothing to undo. One attempt in doubt is enough, though."""
    world.faults["book"] = raising(Unreachable())
    run_to_the_end()
    assert world.names == ["pack", "book", "book", "unpack"]
    assert states()[1] == ("second", "action", "failed")


def test_a_record_that_fails_so_is_in_doubt_all_the_same(saga: Saga, world: World) -> None:
    """The work was done: whatever the error of the record says."""
    world.faults["record book"] = raising(Unreachable())
    run_to_the_end()
    assert states()[1] == ("second", "action", "unknown")


def park() -> None:
    """The saga waits for a person; its step is left as it is."""
    Saga.objects.update(status="needs_attention", attention="The watchdog could not bring it on.")

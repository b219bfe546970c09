"""The saga engine's transitions, on the real database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery.exceptions import Ignore, Retry
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from outbox import claims
from outbox.api import Message, PublishOutsideTransaction
from outbox.audit import findings
from outbox.saga.api import SagaRefused, UnknownSaga, cancel, resume, start
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


def test_it_runs_its_steps_in_order_and_completes(saga: Saga, world: World) -> None:
    """Each step once, each result in the context, the hook called once, the history complete."""
    run_to_the_end()
    assert world.names == ["pack", "book", "depart"]
    assert world.recorded == ["book"]
    assert status(saga) == "completed"
    assert saga.context == {name: {"attempt": 1} for name in ("first", "second", "third")}
    assert world.ended == [("completed", "")]
    assert [t.what for t in SagaTransition.objects.all()] == [
        "started",
        *["attempt started", "succeeded"] * 3,
        "completed",
    ]
    assert findings() == []


def test_starting_needs_a_transaction_a_known_name_and_a_new_key(saga: Saga) -> None:
    """Outside a transaction, of an unknown definition, or twice for one key: refused, and nothing written."""
    with pytest.raises(PublishOutsideTransaction):
        start("sample.journey", "trip-2")
    with transaction.atomic(), pytest.raises(UnknownSaga, match=r"sample\.jurney"):
        start("sample.jurney", "trip-2")
    with pytest.raises(IntegrityError), transaction.atomic():
        start("sample.journey", "trip-1")
    assert Saga.objects.count() == 1


@pytest.mark.parametrize(
    ("refusing", "calls"),
    [
        ("pack", ["pack"]),
        ("book", ["pack", "book", "unpack"]),
        ("depart", ["pack", "book", "depart", "unbook", "unpack"]),
    ],
)
def test_a_refusal_undoes_what_was_done_in_reverse(
    saga: Saga, world: World, refusing: str, calls: list[str]
) -> None:
    """What was refused did not happen and is not undone; the rest is, latest first."""
    world.faults[refusing] = raising(Refusal("no"))
    run_to_the_end()
    assert world.names == calls
    assert status(saga) == "compensated"
    assert world.ended == [("compensated", "No, thank you.")]
    assert findings() == []


def test_a_failure_is_tried_again_with_the_same_key_and_message(saga: Saga, world: World) -> None:
    """Celery is told RETRY; one message serves all attempts, and so does one idempotency key."""
    world.faults["book"] = raising(OSError("busy"), times=1)
    step()
    (told,) = step()
    assert isinstance(told, Retry)
    message = Message.objects.get(type="sample.second.book")
    assert (message.status, message.attempts, message.last_error) == ("pending", 1, "OSError: busy")
    assert message.next_attempt_at > message.occurred_at
    run_to_the_end()
    assert [key for name, key in world.calls if name == "book"] == ["second:action"] * 2
    assert Message.objects.get(type="sample.second.book").attempts == 2
    assert status(saga) == "completed"


def test_what_may_have_happened_is_compensated(saga: Saga, world: World) -> None:
    """A call that was given up without an answer counts as done: its own step is undone, too."""
    world.faults["book"] = raising(TimeoutError())
    run_to_the_end()
    assert world.names == ["pack", "book", "book", "unbook", "unpack"]
    assert states()[1] == ("second", "action", "unknown")
    assert status(saga) == "compensated"


def test_a_local_step_that_failed_certainly_did_not_happen(saga: Saga, world: World) -> None:
    """Its transaction was rolled back: there is nothing to undo."""
    world.faults["pack"] = raising(OSError("disk"))
    run_to_the_end()
    assert world.names == ["pack", "pack"]
    assert states() == [("first", "action", "failed")]


def test_a_compensation_that_cannot_succeed_waits_for_a_person(saga: Saga, world: World) -> None:
    """Parked, visible, with the reason; resumed by a person, it goes on where it stopped."""
    world.faults["depart"] = raising(Refusal("no"))
    world.faults["unbook"] = raising(OSError("gone"))
    run_to_the_end()
    assert status(saga) == "needs_attention"
    assert world.ended == [("parked", "OSError: gone")]
    assert findings() == []
    world.faults.clear()
    resume(saga.id, actor="olga", reason="the provider is back")
    run_to_the_end()
    assert status(saga) == "compensated"
    assert world.names[-2:] == ["unbook", "unpack"]
    note = SagaTransition.objects.get(what="resumed")
    assert (note.actor, note.detail, note.step) == ("olga", "the provider is back", "second")


def test_only_a_parked_saga_can_be_resumed_and_only_with_a_reason(saga: Saga) -> None:
    """An operation that the state does not allow changes nothing and says why."""
    with pytest.raises(SagaRefused, match="needs attention"):
        resume(saga.id, actor="olga", reason="just so")
    with pytest.raises(ValueError, match="Say why"):
        resume(saga.id, actor="olga", reason=" ")


def test_a_duplicate_command_does_nothing(saga: Saga, world: World) -> None:
    """The same delivery again, and any of an older attempt: nothing runs."""
    claim = claims.claim(10)
    assert deliver(claim.messages[0]) is None
    assert isinstance(deliver(claim.messages[0]), Ignore)
    assert world.names == ["pack"]


def test_a_late_outcome_is_refused(saga: Saga, world: World) -> None:
    """A zombie that comes back after its lease finds the step in other hands: its outcome changes nothing."""
    step()

    def sleep_past_the_lease(_: object) -> None:
        SagaStep.objects.filter(name="second").update(locked_until=Now() - timedelta(seconds=1))
        assert sweep().attempts_lost == 1
        world.faults.clear()
        step()  # another worker takes over and succeeds

    world.faults["book"] = sleep_past_the_lease
    (told,) = step()
    assert isinstance(told, Ignore)
    assert world.recorded == ["book"]
    run_to_the_end()
    assert status(saga) == "completed"


def test_a_dead_workers_step_is_found_and_tried_again(saga: Saga, world: World) -> None:
    """The lease ends, the watchdog schedules the same message with the same key; a second watchdog finds nothing."""
    step()
    world.faults["book"] = raising(Killed(), times=1)
    with pytest.raises(Killed):
        deliver(sent()[0])
    assert sweep().attempts_lost == 0
    end_leases()
    assert sweep().attempts_lost == 1
    assert sweep().attempts_lost == 0
    run_to_the_end()
    assert status(saga) == "completed"
    assert [key for name, key in world.calls if name == "book"] == ["second:action"] * 2


def test_a_failed_record_is_a_failed_attempt(saga: Saga, world: World) -> None:
    """When the answer cannot be written down, the step is tried again with the same key."""
    world.faults["record book"] = raising(KeyError("column"), times=1)
    run_to_the_end()
    assert world.names == ["pack", "book", "book", "depart"]
    assert status(saga) == "completed"


def test_cancelling_before_the_pivot_compensates(saga: Saga, world: World) -> None:
    """A step that has not started is called off; its message will not run."""
    step()
    cancel(saga.id, actor="ada", reason="changed my mind")
    run_to_the_end()
    assert world.names == ["pack", "unpack"]
    assert states()[1] == ("second", "action", "cancelled")
    assert world.ended == [("compensated", "changed my mind")]


def test_cancelling_while_a_step_is_at_work_waits_for_its_end(saga: Saga, world: World) -> None:
    """The attempt at work ends first, and is then undone with the rest."""
    step()
    world.faults["book"] = lambda _: cancel(saga.id, actor="ada", reason="changed my mind")
    run_to_the_end()
    assert world.names == ["pack", "book", "unbook", "unpack"]
    assert status(saga) == "compensated"


def test_after_the_pivot_there_is_no_way_back(saga: Saga) -> None:
    """A completed saga cannot be cancelled."""
    run_to_the_end()
    with pytest.raises(SagaRefused):
        cancel(saga.id, actor="ada", reason="too late")
    assert status(saga) == "completed"


def test_a_saga_past_its_deadline_is_called_off(saga: Saga, world: World) -> None:
    """The watchdog does not wait for ever."""
    step()
    Saga.objects.update(deadline_at=Now() - timedelta(seconds=1))
    assert sweep().past_deadline == 1
    run_to_the_end()
    assert status(saga) == "compensated"
    assert "deadline" in world.ended[0][1]


def test_a_step_whose_message_was_discarded_is_parked(saga: Saga) -> None:
    """Nothing is silently stuck: a step whose message will never come needs attention."""
    Message.objects.update(status="failed", discarded_at=Now(), last_error="discarded")
    assert any("nothing of it is on its way" in finding for finding in findings())
    SagaStep.objects.update(scheduled_at=Now() - timedelta(hours=1))
    assert sweep().orphaned == 1
    assert status(saga) == "needs_attention"


def test_resuming_a_step_whose_message_was_discarded_writes_a_new_one(saga: Saga, world: World) -> None:
    """There is no dead end: a person's resume brings the saga on, with or without the old message."""
    Message.objects.update(status="failed", discarded_at=Now(), last_error="discarded")
    SagaStep.objects.update(scheduled_at=Now() - timedelta(hours=1))
    sweep()
    resume(saga.id, actor="olga", reason="discarded by mistake")
    run_to_the_end()
    assert status(saga) == "completed"


def test_the_audit_sees_a_saga_that_hangs(saga: Saga) -> None:
    """Not vacuous: an invariant broken on purpose is found."""
    Message.objects.all().delete()
    assert any("nothing of it is on its way" in finding for finding in findings())


def test_a_command_that_is_written_anew_keeps_its_wait(saga: Saga, world: World) -> None:
    """Its message was discarded while the attempt ran: what takes its place is due when the retry is."""

    def discard_and_fail(_: object) -> None:
        Message.objects.update(status="failed", consumed_at=None, discarded_at=Now(), last_error="discarded")
        raise RuntimeError("no")

    step()
    world.faults["book"] = discard_and_fail
    step()
    again = Message.objects.get(type="sample.second.book", discarded_at=None)
    assert again.next_attempt_at - again.occurred_at > timedelta(seconds=0.9)

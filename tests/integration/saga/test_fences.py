"""Refusals are counted, long attempts say that they live, and a transition costs few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from outbox import claims
from outbox.audit import findings
from outbox.models import Message
from outbox.saga.api import AttemptLost, Refusals, StepCall, refusals, start
from outbox.saga.execution import Attempt, Refused
from outbox.saga.models import Saga, SagaStep, SagaTransition
from outbox.saga.turn import turn
from outbox.saga.watchdog import sweep
from tests.harness.concurrent import in_background, wait_until_blocked
from tests.integration.saga import kinds  # noqa: F401  (registers its sagas)
from tests.integration.saga.conftest import World, deliver, end_leases, run_to_the_end, sent, status, step

T = TypeVar("T")


@pytest.fixture
def digging(transactional_db: None, world: World) -> Saga:
    """A saga whose only step is long and says that it lives."""
    with transaction.atomic():
        return Saga.objects.get(pk=start("kinds.long", "l-1"))


def test_duplicates_are_counted_with_their_step(saga: Saga, world: World) -> None:
    """Three more copies of a delivery: nothing runs, three refusals, no line in the history."""
    (message,) = claims.claim(10).messages
    deliver(message)
    before = SagaTransition.objects.count()
    for _ in range(3):
        deliver(message)
    assert refusals() == refusals("sample.journey") == Refusals(duplicates=3, outcomes=0)
    assert refusals("another") == Refusals(0, 0)
    assert SagaTransition.objects.count() == before


def test_a_late_outcome_is_counted_and_told(saga: Saga, world: World) -> None:
    """It stands in the history with its attempt, and changes nothing."""
    step()

    def lose_the_lease(_: object) -> None:
        end_leases()
        sweep()
        world.faults.clear()
        step()

    world.faults["book"] = lose_the_lease
    step()
    assert refusals().outcomes == 1
    note = SagaTransition.objects.get(what="outcome refused")
    assert (note.step, note.attempt, note.detail) == ("second", 2, "Attempt 1 came too late.")
    run_to_the_end()
    assert status(saga) == "completed"
    assert findings() == []


def test_a_heartbeat_starts_the_lease_again(digging: Saga, world: World) -> None:
    """The lease is short, so that a dead worker is soon noticed; the time-out of the whole attempt stays."""
    leases: list[float] = []

    def lease() -> float:
        row = SagaStep.objects.get()
        assert row.locked_until is not None
        return (row.locked_until - timezone.now()).total_seconds()

    def beat(call: StepCall) -> None:
        SagaStep.objects.update(locked_until=Now() + timedelta(seconds=1))
        call.heartbeat()
        leases.append(lease())
        SagaStep.objects.update(started_at=Now() - timedelta(seconds=97))
        call.heartbeat()
        leases.append(lease())

    world.faults["dig"] = beat
    step()
    assert 8 < leases[0] <= 10
    assert leases[1] <= 3
    assert status(digging) == "completed"


@pytest.mark.parametrize("taken", ["by another", "by its time-out"])
def test_a_zombies_heartbeat_is_refused_and_raises(digging: Saga, world: World, taken: str) -> None:
    """It stops working; what others do with the step stands."""

    def beat(call: StepCall) -> None:
        if taken == "by another":
            end_leases()
            sweep()
        else:
            SagaStep.objects.update(started_at=Now() - timedelta(seconds=101))
        with pytest.raises(AttemptLost):
            call.heartbeat()
        raise AttemptLost("stopped")

    world.faults["dig"] = beat
    step()
    assert SagaStep.objects.get().outcomes_refused == (2 if taken == "by another" else 0)
    world.faults.clear()
    run_to_the_end()
    assert status(digging) == "completed"


@contextmanager
def statements(most: int) -> Iterator[None]:
    """What runs in here may take so many statements, BEGIN and COMMIT not counted."""
    with CaptureQueriesContext(connection) as captured:
        yield
    told = [q["sql"] or "(prepared)" for q in captured]
    told = [sql for sql in told if not sql.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]
    assert len(told) <= most, "\n".join(told)


READ_BY_DELIVER = 1
"""The test's own look at the message's payload."""


def test_a_transition_costs_few_statements(saga: Saga, world: World) -> None:
    """Local: lock, consume and read; write, the next message with it. Remote: that in two transactions."""
    (local_step,) = sent()
    with statements(2 + READ_BY_DELIVER):
        deliver(local_step)
    for _ in range(2):
        (remote_step,) = sent()
        with statements(4 + READ_BY_DELIVER):
            deliver(remote_step)
    assert status(saga) == "completed"


def test_starting_costs_one_statement(transactional_db: None, world: World) -> None:
    """The saga with its first step, its history and the message."""
    with statements(1), transaction.atomic():
        start("sample.journey", "s-1")


def test_what_changed_while_a_turn_waited_for_the_lock_is_seen(saga: Saga, world: World) -> None:
    """The rows of the steps are read in the statement that locks; when that had to wait, they are read again."""

    def look() -> list[tuple[str, str]]:
        with turn(saga.id, "reader") as t:
            assert t is not None
            return [(row.name, row.status) for row in t.rows]

    (message,) = sent()
    seen = _deliver_while_another_waits(message, world, look)
    assert seen == [("first", "succeeded"), ("second", "scheduled")]


def test_a_duplicate_that_waited_for_the_saga_does_nothing(saga: Saga, world: World) -> None:
    """Its statement began before the first one's end, and consumes nothing: what it changes it sees as it is now."""
    (message,) = sent()
    twin = Attempt(saga.id, message.id, message.attempts, "twin")
    outcome = _deliver_while_another_waits(message, world, twin.run)
    assert isinstance(outcome, Refused)
    assert "is consumed" in outcome.why
    assert world.names == ["pack"]
    assert SagaStep.objects.get(name="first").duplicates_refused == 1


def _deliver_while_another_waits(message: Message, world: World, work: Callable[[], T]) -> T:
    """Deliver a command whose step holds the saga until another thread, with that work, waits for its lock."""
    others: list[Future[T]] = []

    def begin(_: object) -> None:
        others.append(in_background(work))
        wait_until_blocked()

    world.faults["pack"] = begin
    deliver(message)
    return others[0].result(10)

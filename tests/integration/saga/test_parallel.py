"""Steps side by side: an exact join, and one way back."""

from __future__ import annotations

import pytest
from django.db import transaction

from outbox.audit import findings
from outbox.saga.api import SagaRefused, cancel, resume, skip, start
from outbox.saga.models import Saga, SagaStep
from tests.integration.saga import kinds  # noqa: F401  (registers its sagas)
from tests.integration.saga.conftest import (
    Refusal,
    World,
    deliver,
    raising,
    run_to_the_end,
    sent,
    states,
    status,
    step,
)


@pytest.fixture
def fork(transactional_db: None, world: World) -> Saga:
    """A saga that has come to its two steps side by side."""
    with transaction.atomic():
        made = Saga.objects.get(pk=start("kinds.fork", "f-1"))
    step()
    return made


def test_what_follows_begins_when_both_are_done_and_once(fork: Saga, world: World) -> None:
    """Both are scheduled by one transaction; the first end opens nothing, the second opens the next step."""
    left, right = sent()
    assert deliver(left) is None
    assert SagaStep.objects.filter(name="close").count() == 0
    assert deliver(right) is None
    assert SagaStep.objects.filter(name="close").count() == 1
    run_to_the_end()
    assert world.names == ["open", "left", "right", "close"]
    assert status(fork) == "completed"
    assert set(fork.context) == {"open", "left", "right", "close"}
    assert findings() == []


def test_the_end_of_both_at_the_same_moment_opens_what_follows_once(fork: Saga, world: World) -> None:
    """The second ends while the first one's worker is still in its call."""
    left, right = sent()
    world.faults["left"] = lambda _: deliver(right)
    deliver(left)
    assert [name for name, *_ in states()] == ["open", "left", "right", "close"]


def test_a_failure_awaits_the_other_and_undoes_both_side_by_side(fork: Saga, world: World) -> None:
    """The branch at work ends first; then all that happened is undone, the two of one place together."""
    left, right = sent()
    world.faults["right"] = raising(TimeoutError())

    def fails_meanwhile(_: object) -> None:
        deliver(right)
        step()

    world.faults["left"] = fails_meanwhile
    deliver(left)
    assert status(fork) == "compensating"
    assert [s for s in states() if s[1] == "compensation"] == [
        ("left", "compensation", "scheduled"),
        ("right", "compensation", "scheduled"),
    ]
    world.faults.clear()
    run_to_the_end()
    assert world.names[-3:] == ["unleft", "unright", "unopen"]
    assert status(fork) == "compensated"
    assert findings() == []


def test_a_refusal_calls_off_what_has_not_begun(fork: Saga, world: World) -> None:
    """The other branch was not at work: it will not be."""
    world.faults["left"] = raising(Refusal("no"))
    run_to_the_end()
    assert world.names == ["open", "left", "unopen"]
    assert ("right", "action", "cancelled") in states()
    assert world.ended == [("compensating", "No, thank you."), ("compensated", "No, thank you.")]


def test_a_cancellation_awaits_both(fork: Saga, world: World) -> None:
    """One is at work, one is not."""
    world.faults["left"] = lambda _: cancel(fork.id, actor="ada", reason="changed my mind")
    deliver(sent()[0])
    run_to_the_end()
    assert world.names == ["open", "left", "unleft", "unopen"]
    assert status(fork) == "compensated"


def test_two_undos_that_cannot_succeed_are_resumed_together(fork: Saga, world: World) -> None:
    """Parked when both have ended; a person's resume, or seeing to each, brings it on."""
    world.faults["unleft"] = raising(OSError("gone"))
    world.faults["unright"] = raising(OSError("gone"))
    world.faults["close"] = raising(Refusal("no"))
    run_to_the_end()
    assert status(fork) == "needs_attention"
    resume(fork.id, actor="olga", reason="again")
    run_to_the_end()
    assert status(fork) == "needs_attention"
    world.faults.clear()
    skip(fork.id, "left", actor="olga", reason="done by hand")
    assert status(fork) == "needs_attention"
    with pytest.raises(SagaRefused, match="done"):
        skip(fork.id, "left", actor="olga", reason="again")
    skip(fork.id, "right", actor="olga", reason="done by hand")
    run_to_the_end()
    assert status(fork) == "compensated"
    assert findings() == []

"""What is in doubt is asked before it is tried again, and before it is given up."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.audit import findings
from outbox.saga.api import DID_NOT_HAPPEN, NOT_KNOWN, Happened
from outbox.saga.models import SagaStep
from outbox.saga.testing import SagaRun
from tests.integration.saga import kinds
from tests.integration.saga.conftest import Refusal, World, raising

pytestmark = pytest.mark.django_db
PAID = Happened({"receipt": 7})


@pytest.fixture
def run(world: World) -> SagaRun:
    """A saga whose first step can be asked about; nobody knows anything yet."""
    kinds.ANSWERS[:] = [NOT_KNOWN]
    return SagaRun.start("kinds.asked", "a-1")


def test_nothing_is_asked_while_nothing_is_in_doubt(run: SagaRun, world: World) -> None:
    """The usual way costs no call more."""
    assert run.to_end() == "completed"
    assert world.names == ["pay", "send"]


def test_what_happened_is_not_done_again(run: SagaRun, world: World) -> None:
    """After a time-out, or a dead worker, the answer takes the place of the work's."""
    kinds.ANSWERS[:] = [PAID]
    run.fail("pay", TimeoutError(), after=True)
    assert run.to_end() == "completed"
    assert world.names == ["pay", "ask", "send"]
    assert run.context["pay"] == {"receipt": 7}


@pytest.mark.parametrize("answer", [NOT_KNOWN, ConnectionError("away"), Refusal("no such thing")])
def test_what_is_not_known_is_tried_again_with_the_same_key(run: SagaRun, world: World, answer: Any) -> None:
    """In the same attempt; nor does an error while asking keep it from that."""
    kinds.ANSWERS[:] = [answer]
    run.fail("pay", TimeoutError())
    assert run.to_end() == "completed"
    assert world.names == ["ask", "pay", "send"]
    assert SagaStep.objects.get(name="pay").attempt == 2


def test_it_is_asked_before_it_is_given_up(run: SagaRun, world: World) -> None:
    """The last try had no answer either; the world then knows that it happened: the saga goes on."""
    run.fail("pay", TimeoutError(), times=2, after=True)
    run.step()
    run.step()
    assert SagaStep.objects.get().asking
    kinds.ANSWERS[:] = [ConnectionError("away"), PAID]
    assert run.to_end() == "completed"
    assert world.names == ["pay", "ask", "pay", "ask", "ask", "send"]
    assert run.saga.reason == ""
    assert world.ended == [("completed", "")]


def test_what_certainly_did_not_happen_is_not_undone(run: SagaRun, world: World) -> None:
    """Given up as failed, not as unknown: there is nothing to compensate."""
    run.fail("pay", TimeoutError(), times=2)
    kinds.ANSWERS[:] = [NOT_KNOWN, DID_NOT_HAPPEN]
    assert run.to_end() == "compensated"
    assert run.rows == {"pay": "failed"}
    assert findings() == []


def test_a_refusal_after_doubt_is_asked_about(run: SagaRun, world: World) -> None:
    """A refusal speaks only of its own attempt: the first one happened."""
    run.fail("pay", TimeoutError(), after=True)
    run.fail("pay", Refusal("the token is outdated"))
    kinds.ANSWERS[:] = [NOT_KNOWN, PAID]
    assert run.to_end() == "completed"


def test_what_nobody_can_tell_is_given_up_as_unknown_and_undone(run: SagaRun, world: World) -> None:
    """Five times asked in vain; the first error's words for people stand."""
    run.fail("pay", TimeoutError())
    world.faults["pay"] = raising(Refusal("no"))
    assert run.to_end() == "compensated"
    assert run.rows == {"pay": "unknown", "undo pay": "succeeded"}
    assert world.names.count("ask") == 6
    assert world.ended[-1] == ("compensated", "No, thank you.")


def test_a_dead_workers_step_is_asked_about(run: SagaRun, world: World) -> None:
    """The watchdog asks nobody: the next worker does."""
    kinds.ANSWERS[:] = [PAID]
    run.kill("pay", after=True)
    assert run.to_end() == "completed"
    assert world.names == ["pay", "ask", "send"]

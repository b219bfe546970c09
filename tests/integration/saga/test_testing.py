"""The tool for users' tests: a saga in one process, in the test's own transaction."""

from __future__ import annotations

import pytest

from outbox.saga.testing import SagaRun
from tests.integration.saga import kinds
from tests.integration.saga.conftest import Refusal, World

pytestmark = pytest.mark.django_db


def test_it_runs_to_its_end(world: World) -> None:
    """Step by step, or all that is left; the history tells it."""
    run = SagaRun.start("kinds.asked", "t-1")
    run.step()
    assert run.rows == {"pay": "succeeded", "send": "scheduled"}
    assert run.to_end() == "completed"
    assert run.steps == ["pay", "send"]
    assert run.history[:3] == ["started", "pay: attempt started", "pay: succeeded"]


def test_chosen_failures_happen_before_or_after_the_work(world: World) -> None:
    """An error that comes too late leaves the work done; both are tried again at once."""
    run = SagaRun.start("kinds.typed", "t-2")
    world.faults["reserve"] = lambda _: None
    run.fail("reserve", Refusal("no"))
    assert run.to_end() == "compensated"
    assert world.names == []
    other = SagaRun.start("kinds.fork", "t-3")
    other.fail("open", TimeoutError(), after=True)
    other.fail("close", Refusal("no"))
    other.fail("left", OSError(), undo=True)
    assert other.to_end() == "compensated"
    assert world.names.count("open") == 2
    assert other.steps[-2:] == ["undo left", "undo open"]


def test_workers_die_and_time_goes_by(world: World) -> None:
    """A killed worker's step is tried again; an event that does not come turns the saga back."""
    run = SagaRun.start("kinds.wait", "t-4")
    run.kill("order", after=True)
    assert "order: will retry" in run.history
    run.to_end()
    assert run.rows["goods"] == "waiting"
    assert run.pass_time(61).attempts_lost == 1
    assert run.to_end() == "compensated"


def test_events_are_told(world: World) -> None:
    """With a payload of the declared type."""
    run = SagaRun.start("kinds.wait", "t-5")
    run.signal("goods.arrived", {"number": 1, "seat": "A"})
    assert run.to_end() == "completed"
    assert run.context["goods"] == {"number": 1, "seat": "A"}
    assert kinds.Ticket(1, "A").seat == "A"


def test_a_saga_that_is_not_there_is_said_so() -> None:
    """The code under test has not started it."""
    with pytest.raises(LookupError, match=r"SagaRun\.start"):
        SagaRun("kinds.wait", "nowhere")

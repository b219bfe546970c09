"""The engine under thousands of random schedules; here a few hundred of them, and proof that the simulator can fail."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.saga import engine, failing
from outbox.saga.execution import Attempt
from outbox.saga.models import SagaStep
from outbox.saga.operations import going_on
from tests.chaos.simulator.__main__ import main
from tests.chaos.simulator.running import run
from tests.chaos.simulator.schedule import Schedule

SEED = 7000
FEW, MANY = 300, 2000


def test_all_invariants_hold_and_everything_was_met() -> None:
    """Every kind of end, fault, refusal and operation is among them: a run that meets nothing proves nothing."""
    result = run(SEED, FEW)
    assert result.failed == {}
    assert result.unseen == []


def test_a_seed_replays_exactly() -> None:
    """The same events in the same order, with the same outcome."""
    traces: list[list[str]] = [[], []]
    for trace in traces:
        Schedule(SEED, trace.append).run()
    assert traces[0] == traces[1]
    assert len(traces[0]) > 50


def without_the_fence(attempt: Attempt, t: Any) -> SagaStep | None:
    """A zombie's outcome is accepted."""
    row = t.step(attempt._held().name, attempt._held().direction)
    return row if row.status == SagaStep.Status.RUNNING else None


def forgets_doubt(t: Any, row: SagaStep, error: Exception) -> None:
    """What may have happened is given up as if it had not."""
    engine.end(t, row, SagaStep.Status.FAILED, last_error="no", asking=False)
    failing._remember(t, error)
    engine.advance(t)


def opens_too_soon(t: Any, row: SagaStep, result: Any) -> None:
    """The first of two steps side by side opens what follows."""
    engine.end(t, row, SagaStep.Status.SUCCEEDED, result=result)
    if row.direction == "action":
        t.update(context={**t.saga.context, row.name: result})
        for stage in t.definition.stages:
            missing = [step for step in stage if t.step(step.name, "action") is None]
            if missing:
                engine.open_stage(t, missing)
                return
    engine.advance(t)


@pytest.mark.parametrize(
    ("holder", "name", "broken"),
    [
        (Attempt, "_still_mine", without_the_fence),
        (failing, "_give_up", forgets_doubt),
        (engine, "succeed", opens_too_soon),
        (going_on, "go_on", lambda t, rows: t.update(status="running", attention="")),
    ],
)
def test_an_engine_that_is_broken_on_purpose_is_found(
    monkeypatch: pytest.MonkeyPatch, holder: Any, name: str, broken: Any
) -> None:
    """Each of the engine's promises, taken away, breaks an invariant within some hundred schedules."""
    monkeypatch.setattr(holder, name, broken)
    assert run(SEED, MANY, until_failure=True).failed


def test_the_command_tells_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    """And replays a seed, event by event. Too few schedules are no proof, and it says so."""
    assert main(["--seed", "1", "--schedules", "2"]) == 1
    told = capsys.readouterr().out
    assert "Nothing was seen of" in told
    assert "NOT OK." in told
    assert main(["--replay", "1"]) == 0
    assert "All invariants held." in capsys.readouterr().out

"""What people do: in one transaction, with who and why; what the state does not allow is refused in words."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.db.models.functions import Now

from outbox.api import Message
from outbox.audit import findings
from outbox.saga import operations
from outbox.saga.api import (
    SagaRefused,
    compensate_now,
    mark_done,
    pause,
    pause_definition,
    resume,
    retry_now,
    skip,
    unpause,
    unpause_definition,
)
from outbox.saga.bulk import Chosen, for_each
from outbox.saga.models import Saga, SagaStep
from outbox.saga.testing import SagaRun
from outbox.saga.watchdog import sweep
from tests.integration.saga import kinds  # noqa: F401  (registers its sagas)
from tests.integration.saga.conftest import Refusal, World, deliver, sent

pytestmark = pytest.mark.django_db
WHY: dict[str, Any] = {"actor": "olga", "reason": "the provider says so"}


@pytest.fixture
def run(world: World) -> SagaRun:
    """A saga whose first step is scheduled."""
    return SagaRun.start("sample.journey", "o-1")


@pytest.fixture
def parked(world: World) -> SagaRun:
    """A saga whose undo could not succeed."""
    run = SagaRun.start("sample.journey", "o-2")
    run.fail("third", Refusal("no"))
    run.fail("second", OSError("gone"), undo=True, times=2)
    assert run.to_end() == "needs_attention"
    return run


@pytest.mark.parametrize(
    "operation",
    [
        operations.resume,
        operations.retry_now,
        operations.compensate_now,
        operations.pause,
        operations.unpause,
        lambda saga_id, **why: skip(saga_id, "first", **why),
        lambda saga_id, **why: mark_done(saga_id, "first", **why),
    ],
)
def test_every_operation_needs_a_reason(run: SagaRun, operation: Any) -> None:
    """It is kept in the history: nothing happens without one."""
    with pytest.raises(ValueError, match="Say why"):
        operation(run.id, actor="olga", reason=" ")


def test_retry_now_does_not_wait(run: SagaRun) -> None:
    """The message is due at once, the try is the same one; a parked saga is resumed."""
    run.fail("first", OSError("busy"))
    run.step()
    assert sent() == []
    retry_now(run.id, **WHY)
    (message,) = sent()
    assert deliver(message) is None
    assert "first: retry now" in run.history
    assert run.to_end() == "completed"


def test_retry_now_of_a_parked_saga_resumes_it(parked: SagaRun) -> None:
    """One word for what people mean."""
    retry_now(parked.id, **WHY)
    assert parked.to_end() == "compensated"


def test_an_undo_that_somebody_did_by_hand_is_skipped(parked: SagaRun) -> None:
    """The saga goes on with what is left to be undone."""
    skip(parked.id, "second", **WHY)
    assert parked.to_end() == "compensated"
    assert parked.rows["undo second"] == "skipped"
    entry = parked.saga.transitions.get(what="skipped")
    assert (entry.actor, entry.detail) == ("olga", "the provider says so")
    assert findings() == []


def test_a_step_is_marked_as_done_with_its_result_and_its_record(run: SagaRun, world: World) -> None:
    """What its work would have recorded is recorded once, and its message does nothing any more."""
    run.step()
    mark_done(run.id, "second", {"booked": "by phone"}, **WHY)
    assert world.recorded == ["book"]
    assert run.context["second"] == {"booked": "by phone"}
    assert Message.objects.get(type="sample.second.book").discarded_at
    assert run.to_end() == "completed"
    assert world.names == ["pack", "depart"]
    with pytest.raises(SagaRefused, match="ended"):
        mark_done(run.id, "second", **WHY)


def test_an_attempt_at_work_loses_a_step_that_is_marked_as_done(run: SagaRun, world: World) -> None:
    """Its outcome comes too late, is refused, and counted."""
    run.step()
    world.faults["book"] = lambda _: mark_done(run.id, "second", {"by": "phone"}, **WHY)
    run.step()
    assert run.context["second"] == {"by": "phone"}
    assert SagaStep.objects.get(name="second").outcomes_refused == 1
    assert "second: outcome refused" in run.history


def test_a_wrong_result_is_refused_in_words(world: World) -> None:
    """Checked against what the step declares."""
    run = SagaRun.start("kinds.typed", "o-3")
    with pytest.raises(SagaRefused, match="number"):
        mark_done(run.id, "reserve", {"number": "x"}, **WHY)
    mark_done(run.id, "reserve", {"number": 3, "seat": "A"}, **WHY)
    assert run.to_end() == "completed"


def test_what_is_at_work_or_unknown_is_not_skipped(run: SagaRun, world: World) -> None:
    """Nor is a step that was not reached."""
    run.step()
    told: list[str] = []

    def try_to_skip(_: object) -> None:
        with pytest.raises(SagaRefused) as refused:
            skip(run.id, "second", **WHY)
        told.append(str(refused.value))

    world.faults["book"] = try_to_skip
    run.step()
    assert "at work" in told[0]
    with pytest.raises(SagaRefused, match="Reached so far: first, second, third"):
        skip(run.id, "fourth", **WHY)


def test_a_parked_saga_is_turned_back(world: World) -> None:
    """Before its pivot, and not twice."""
    run = SagaRun.start("sample.journey", "o-4")
    run.step()
    Saga.objects.filter(pk=run.id).update(status="needs_attention", attention="stuck")
    compensate_now(run.id, **WHY)
    with pytest.raises(SagaRefused, match="way back"):
        compensate_now(run.id, **WHY)
    assert run.to_end() == "compensated"
    assert run.steps == ["first", "undo first"]


def test_past_the_pivot_there_is_no_way_back(world: World) -> None:
    """Also not for people."""
    run = SagaRun.start("sample.voyage", "o-5")
    run.step()
    with pytest.raises(SagaRefused, match="no way back"):
        compensate_now(run.id, **WHY)


def test_a_saga_is_resumed_from_a_later_step(world: World) -> None:
    """What stands before it is skipped, and said so; a step that is done is not done again."""
    run = SagaRun.start("sample.voyage", "o-6")
    run.fail("thank", Refusal("no"), times=2)
    assert run.to_end() == "needs_attention"
    with pytest.raises(SagaRefused, match="act twice"):
        resume(run.id, step="sail", **WHY)
    with pytest.raises(SagaRefused, match="Its steps: sail, thank, archive"):
        resume(run.id, step="dance", **WHY)
    resume(run.id, step="archive", **WHY)
    assert run.to_end() == "completed"
    assert run.rows == {"sail": "succeeded", "thank": "skipped", "archive": "succeeded"}
    assert findings() == []


def test_a_paused_saga_begins_nothing_and_its_time_stands_still(run: SagaRun, world: World) -> None:
    """The command that came meanwhile is held; when it goes on, it comes again, and no try was spent."""
    pause(run.id, **WHY)
    deadline = run.saga.deadline_at
    run.step()
    assert world.names == []
    assert SagaStep.objects.get().held
    SagaStep.objects.update(scheduled_at=Now() - timedelta(hours=1))
    Saga.objects.update(paused_at=Now() - timedelta(hours=1))
    assert not any(sweep())
    assert findings() == []
    with pytest.raises(SagaRefused, match="already"):
        pause(run.id, **WHY)
    unpause(run.id, **WHY)
    assert run.saga.deadline_at > deadline + timedelta(minutes=59)
    assert run.to_end() == "completed"
    assert SagaStep.objects.get(name="first").attempt == 1


def test_a_paused_definition_holds_all_its_sagas(world: World) -> None:
    """Those that start meanwhile, too; the watchdog lets them go on afterwards."""
    pause_definition("sample.journey", **WHY)
    with pytest.raises(SagaRefused, match="already"):
        pause_definition("sample.journey", **WHY)
    runs = [SagaRun.start("sample.journey", f"p-{n}") for n in range(2)]
    other = SagaRun.start("kinds.asked", "p-9")
    for run in [*runs, other]:
        run.step()
    assert world.names == ["pay"]
    assert sweep().released == 0
    unpause_definition("sample.journey", **WHY)
    assert sweep().released == 2
    assert [run.to_end() for run in runs] == ["completed"] * 2
    with pytest.raises(SagaRefused, match="Known"):
        pause_definition("sample.jurney", **WHY)


def test_many_sagas_are_operated_by_a_filter(world: World) -> None:
    """Counted first; each by itself, so that one that is refused leaves the others alone."""
    for n in range(3):
        run = SagaRun.start("sample.voyage", f"b-{n}")
        run.fail("thank", OSError("the post office is closed"), times=2)
        assert run.to_end() == "needs_attention"
    chosen = Chosen(definition="sample.voyage", status="needs_attention", error="post office")
    assert (chosen.count(), Chosen(error="nothing of the kind").count()) == (3, 0)
    Saga.objects.filter(key="b-1").update(definition="sample.renamed")
    done = for_each(Chosen(status="needs_attention", step="thank"), operations.resume, **WHY)
    assert done.changed == 2
    assert [why for why in done.refused.values() if "sample.renamed" in why]


def manage(*argv: str) -> str:
    """What the command prints."""
    out = StringIO()
    call_command("saga", *argv, stdout=out)
    return out.getvalue()


def test_the_command_line_shows_and_operates(parked: SagaRun) -> None:
    """By id or by key; as text, and as JSON."""
    assert "o-2  needs_attention" in manage("list", "--status", "needs_attention")
    assert json.loads(manage("list", "--definition", "nothing", "--json")) == []
    told = manage("show", "o-2")
    assert (
        "second               compensation  failed" in told
        or "second               compensation  unknown" in told
    )
    assert "parked  by test  OSError: gone" in told
    shown = json.loads(manage("show", str(parked.id), "--json"))
    assert shown["history"][0]["what"] == "started"
    with pytest.raises(CommandError, match=r"Try: manage\.py saga list"):
        manage("show", "nowhere")
    assert "Would resume" in manage("resume", "o-2", "--reason", "again", "--dry-run")
    assert parked.status == "needs_attention"
    assert "compensating" in manage("resume", "o-2", "--reason", "again", "--by", "olga")
    assert parked.to_end() == "compensated"


def test_the_command_line_operates_many(parked: SagaRun) -> None:
    """A dry run counts, and changes nothing."""
    filters = ("--status", "needs_attention", "--older-than", "0s")
    Saga.objects.update(started_at=F("started_at") - timedelta(seconds=5))
    assert manage("resume", *filters, "--reason", "x", "--dry-run").startswith("1 sagas are chosen")
    assert manage("list", "--older-than", "12h") == "No saga is like that.\n"
    with pytest.raises(CommandError, match="'soon' is no time"):
        manage("list", "--older-than", "soon")
    assert manage("resume", *filters, "--reason", "x", "--by", "ada") == "1 changed, 0 refused.\n"
    assert "by ada" in manage("show", "o-2")
    assert "sample.journey is paused." in manage(
        "pause", "--all", "--definition", "sample.journey", "--reason", "x"
    )


@pytest.mark.parametrize(
    ("argv", "code", "text"),
    [
        (["show", "nowhere"], 3, "no saga"),
        (["resume", "--reason", "x"], 2, "Say which"),
        (["pause", "o-2", "--reason", " "], 1, "Say why"),
        (["cancel", "o-2", "--reason", "x"], 0, ""),
        (["unpause", "o-2", "--reason", "x"], 1, "not paused"),
    ],
)
def test_what_cannot_be_done_is_said_with_an_exit_code(
    parked: SagaRun, argv: list[str], code: int, text: str
) -> None:
    """No traceback for a person."""
    if not code:
        argv = ["list"]
        manage(*argv)
        return
    with pytest.raises(CommandError, match=text) as failed:
        manage(*argv)
    assert failed.value.returncode == code

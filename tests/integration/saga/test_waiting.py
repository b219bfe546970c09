"""Waits for outside events: early, late, twice, at the same time, never."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from outbox.api import Message, PublishOutsideTransaction
from outbox.audit import findings
from outbox.saga.api import Received, UnknownEvent, WrongResult, cancel, resume, signal, start
from outbox.saga.models import Saga, SagaSignal, SagaStep, SagaTransition
from outbox.saga.watchdog import sweep
from tests.integration.saga import kinds  # noqa: F401  (registers its sagas)
from tests.integration.saga.conftest import World, run_to_the_end, states, status, step

TICKET = {"number": 7, "seat": "4A"}


def begin(name: str = "kinds.wait", key: str = "w-1") -> Saga:
    """A new saga."""
    with transaction.atomic():
        return Saga.objects.get(pk=start(name, key))


def tell(
    event: str = "goods.arrived", id_: str = "s-1", name: str = "kinds.wait", **payload: object
) -> Received:
    """An outside event for it."""
    with transaction.atomic():
        return signal(name, "w-1", event, payload or TICKET, signal_id=id_, actor="carrier")


def end_waits() -> None:
    """The time of every wait is over."""
    SagaStep.objects.filter(status="waiting").update(locked_until=Now() - timedelta(seconds=1))


@pytest.fixture
def waiting(transactional_db: None, world: World) -> Saga:
    """A saga that has come to its wait."""
    saga = begin()
    step()
    assert states()[-1] == ("goods", "action", "waiting")
    return saga


def test_a_signal_ends_the_wait_in_the_callers_transaction(waiting: Saga, world: World) -> None:
    """Its payload is the step's result, and the next step's command is written with it; a rollback takes all back."""
    with pytest.raises(RuntimeError), transaction.atomic():
        signal("kinds.wait", "w-1", "goods.arrived", TICKET, signal_id="s-1")
        raise RuntimeError
    assert states()[-1] == ("goods", "action", "waiting")
    assert tell() == Received.DELIVERED
    run_to_the_end()
    assert status(waiting) == "completed"
    assert waiting.context["goods"] == TICKET
    note = SagaTransition.objects.get(what="signal received")
    assert (note.actor, note.detail, note.step) == ("carrier", "s-1", "goods")
    assert findings() == []


@pytest.mark.parametrize("before", ["the saga", "the wait"])
def test_a_signal_may_come_before(transactional_db: None, world: World, before: str) -> None:
    """It is kept, and the wait ends in the transaction that reaches it."""
    if before == "the saga":
        assert tell() == Received.KEPT
    saga = begin()
    if before == "the wait":
        assert tell() == Received.KEPT
    run_to_the_end()
    assert status(saga) == "completed"
    assert "waiting" not in {state for *_, state in states()}


def test_a_signal_that_comes_twice_counts_once(waiting: Saga) -> None:
    """The sender's id tells; another id is another event, which nobody waits for."""
    assert tell() == Received.DELIVERED
    assert tell() == Received.DUPLICATE
    assert tell(id_="s-2") == Received.KEPT
    assert SagaTransition.objects.filter(what="signal received").count() == 1
    assert SagaSignal.objects.filter(taken_at=None).count() == 1


def test_a_signal_never_waits_for_a_saga_at_work(waiting: Saga, world: World) -> None:
    """Its row is held by another transaction: the event is kept, and a message brings it."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM saga_saga FOR UPDATE")
        assert tell() == Received.KEPT
        other.rollback()
    finally:
        other.close()
    assert Message.objects.filter(type="outbox.saga.deliver_signals").count() == 1
    run_to_the_end()
    assert status(waiting) == "completed"


def test_the_watchdog_finds_a_signal_that_nobody_took(waiting: Saga) -> None:
    """Committed at the same moment as the wait was reached, or just before: neither saw the other."""
    SagaSignal.objects.create(
        definition="kinds.wait", key="w-1", event="goods.arrived", signal_id="s-9", payload=TICKET
    )
    assert sweep().signalled == 1
    run_to_the_end()
    assert status(waiting) == "completed"


def test_an_event_that_never_comes_turns_the_saga_back(waiting: Saga, world: World) -> None:
    """The time-out decides, by the database's clock, and once for all watchdogs."""
    assert sweep().attempts_lost == 0
    end_waits()
    assert sweep().attempts_lost == 1
    assert sweep().attempts_lost == 0
    assert tell() == Received.KEPT
    run_to_the_end()
    assert world.names == ["order", "unorder"]
    assert world.ended[-1] == ("compensated", "Something that it needs did not arrive in time.")


def test_a_signal_that_came_wins_over_a_time_out(waiting: Saga) -> None:
    """It is there when the watchdog looks: in time."""
    SagaSignal.objects.create(
        definition="kinds.wait", key="w-1", event="goods.arrived", signal_id="s-9", payload=TICKET
    )
    end_waits()
    sweep()
    assert states()[1] == ("goods", "action", "succeeded")


def test_a_wait_may_go_on_without_its_event_and_parks_past_the_pivot(
    transactional_db: None, world: World
) -> None:
    """As each declares; resumed, the wait has its whole time again."""
    saga = begin("kinds.optional")
    step()
    end_waits()
    sweep()
    assert states()[1:] == [("wish", "action", "skipped"), ("sign", "action", "waiting")]
    end_waits()
    sweep()
    assert status(saga) == "needs_attention"
    assert saga.context["wish"] == {"timed_out": True}
    resume(saga.id, actor="olga", reason="it is on its way")
    assert sweep().attempts_lost == 0
    assert tell("sign.given", name="kinds.optional") == Received.DELIVERED
    assert status(saga) == "completed"


def test_a_cancellation_ends_a_wait(waiting: Saga, world: World) -> None:
    """Nothing of it is at work."""
    cancel(waiting.id, actor="ada", reason="changed my mind")
    run_to_the_end()
    assert status(waiting) == "compensated"
    assert ("goods", "action", "cancelled") in states()


def test_a_signal_that_makes_no_sense_is_refused(waiting: Saga) -> None:
    """Outside a transaction, unknown, of the wrong shape, without an id: the sender is told, and nothing is kept."""
    with pytest.raises(PublishOutsideTransaction):
        signal("kinds.wait", "w-1", "goods.arrived", TICKET, signal_id="s-1")
    with pytest.raises(UnknownEvent, match=r"Did you mean 'goods\.arrived'"):
        tell("goods.arived")
    with pytest.raises(WrongResult, match="number"):
        tell(number="many")
    with pytest.raises(ValueError, match="id"):
        tell(id_="")
    assert SagaSignal.objects.count() == 0

"""Closed, open, half-open: a service that is away is left alone, and spends no tries. Driven without a broker."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import Retry
from django.db import connection, connections, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from outbox.models import Message
from outbox.saga.dependencies import breaker
from outbox.saga.dependencies.declaration import LONGEST_RAMP
from outbox.saga.dependencies.models import BreakerState, DependencyWait
from outbox.saga.dependencies.overview import BreakerView, breakers
from outbox.saga.models import Saga, SagaStep, SagaTransition
from tests.harness.concurrent import in_background, wait_until_blocked
from tests.integration.saga.conftest import Killed, Refusal, World, deliver, raising, sent
from tests.integration.saga.conftest import step as deliver_due
from tests.integration.saga.services import COURIER, begin, row, wait_of

AWAY = ConnectionError("Nobody listens.")
pytestmark = pytest.mark.usefixtures("transactional_db", "world")


def test_opens_after_failures_in_a_row_and_spends_no_tries_then(world: World) -> None:
    """Two sagas fail; the third is not tried: no attempt, no try, a line in its history, due after the pause."""
    world.faults["carry"] = raising(AWAY)
    *_, third = begin("carry", "a", "b", "c")
    told = deliver_due()
    assert (world.names, state().state, state().failures) == (["carry"] * 2, "open", 2)
    assert isinstance(told[2], Retry)
    assert (row(third).status, row(third).attempt, row(third).tries) == ("scheduled", 0, 0)
    line = SagaTransition.objects.get(saga=third, what="waits")
    assert re.search(r"for courier: breaker open until \d\d:\d\d:\d\d UTC", line.detail)
    assert 8.5 < wait_of(third) < 16.5
    assert state().waiting == 1


def test_waits_as_long_as_it_takes(world: World) -> None:
    """However often it has to wait: one line in the history, no try, and in the end it succeeds."""
    open_breaker()
    (saga,) = begin("carry", "a")
    for _ in range(8):
        deliver_due()
    assert (row(saga).tries, saga.transitions.filter(what="waits").count(), world.calls) == (0, 1, [])
    end_pause()
    deliver_due()
    assert (row(saga).status, row(saga).attempt) == ("succeeded", 1)
    assert not DependencyWait.objects.exists()


def test_an_answer_in_between_forgets(world: World) -> None:
    """Failures count in a row only; a refusal is an answer, too."""
    for key, fault in (("a", AWAY), ("b", Refusal("no")), ("c", AWAY), ("d", None), ("e", AWAY)):
        world.faults["carry"] = raising(fault) if fault else lambda _: None
        begin("carry", key)
        claimed = [m for m in sent() if Message.objects.get(pk=m.id).correlation_id == key]
        deliver(claimed[0])
    assert (state().state, state().failures) == ("closed", 1)


def test_one_probe_is_let_through_and_its_answer_closes(world: World) -> None:
    """The first after the pause calls; while it is at work the others wait; then they go on."""
    open_breaker()
    sagas = begin("carry", "a", "b", "c")
    end_pause()
    messages = sent()

    def meanwhile(_: Any) -> None:
        world.faults.clear()
        assert all(isinstance(deliver(m), Retry) for m in messages[1:])
        assert state().state == "half_open"

    world.faults["carry"] = meanwhile
    assert deliver(messages[0]) is None
    assert (state().state, state().failures, world.names) == ("closed", 0, ["carry"])
    for _ in range(3):
        DependencyWait.objects.update(ticket_at=Now())
        deliver_due()
    assert {row(saga).status for saga in sagas} == {"succeeded"}


def test_a_failed_probe_opens_it_for_longer_and_is_not_a_try(world: World) -> None:
    """One lonely saga tries again and again whether the service is back: its tries stay."""
    open_breaker()
    (saga,) = begin("carry", "a")
    world.faults["carry"] = raising(AWAY)
    for _ in range(6):
        end_pause()
        deliver_due()
    assert (row(saga).attempt, row(saga).tries, row(saga).status) == (6, 0, "scheduled")
    assert BreakerState.objects.get().cooldown == 15.0


def test_a_dead_probes_permit_returns(world: World) -> None:
    """A probe whose worker died holds the permit for its lease, and no longer."""
    open_breaker()
    first, second = begin("carry", "a", "b")
    end_pause()
    messages = sent()
    world.faults["carry"] = raising(Killed(), times=1)
    with pytest.raises(Killed):
        deliver(messages[0])
    assert isinstance(deliver(messages[1]), Retry)
    BreakerState.objects.update(probe_until=Now() - timedelta(seconds=1))
    deliver_due()
    assert (row(second).status, state().state) == ("succeeded", "closed")
    assert row(first).status == "running"  # the watchdog's business


def test_of_many_workers_one_gets_the_permit() -> None:
    """Eight at the same moment, each with a connection of its own."""
    open_breaker()
    end_pause()
    together = Barrier(8)

    def ask(_: int) -> bool:
        together.wait()
        try:
            return breaker.take_probe(COURIER, uuid4(), 30)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1


def test_after_recovery_they_come_a_few_at_first(world: World) -> None:
    """Twenty that waited are due at growing pace after the probe: no stampede."""
    open_breaker()
    sagas = begin("carry", *(f"k{n}" for n in range(21)))
    deliver_due()
    end_pause()
    Message.objects.filter(id=row(sagas[0]).message_id).update(next_attempt_at=Now())
    assert [deliver(m) for m in sent()] == [None]
    woken = Message.objects.filter(id__in=[row(saga).message_id for saga in sagas[1:]])
    due = sorted(woken.values_list("next_attempt_at", flat=True))
    waits = [(at - due[0]).total_seconds() for at in due]
    assert sum(wait < 1 for wait in waits) <= 3
    assert 3.5 < waits[-1] < 5


def test_a_late_probe_says_nothing() -> None:
    """Whoever lost the permit neither closes nor opens the breaker."""
    open_breaker()
    end_pause()
    late, holder = uuid4(), uuid4()
    assert breaker.take_probe(COURIER, holder, 30)
    assert not breaker.probe_answered(COURIER, late)
    assert not breaker.probe_failed(COURIER, late, "gone")
    assert state().state == "half_open"


def test_compensations_wait_too(world: World) -> None:
    """The undo calls the same service: it waits without spending a try, and runs when the service is back."""
    (saga,) = begin("carry", "a")
    world.faults["carry"] = raising(RuntimeError("Unclear."))
    for _ in range(3):
        deliver_due()
    open_breaker()
    deliver_due()
    undo = SagaStep.objects.get(saga=saga, direction="compensation")
    assert (undo.status, undo.attempt) == ("scheduled", 0)
    end_pause()
    deliver_due()
    undo.refresh_from_db()
    assert undo.status == "succeeded"


def test_costs_nothing_while_all_is_well() -> None:
    """What loads the saga tells so, too: no further read of the breaker, and no write to any of its tables."""
    begin("carry", "a")
    (message,) = sent()
    with CaptureQueriesContext(connection) as queries:
        assert deliver(message) is None
    theirs = [q["sql"] for q in queries if re.search("saga_(breaker|slot|pace|dependency)", q["sql"])]
    assert [sql for sql in theirs if "FROM saga_saga" not in sql] == []


@pytest.mark.parametrize(
    "trouble",
    [
        {"state": "open", "opened_at": Now(), "open_until": Now() + timedelta(seconds=10)},
        {"state": "closed", "failures": 1},
        {"state": "closed", "closed_at": Now() - timedelta(seconds=LONGEST_RAMP - 60)},
    ],
)
def test_any_trouble_is_looked_into(trouble: dict[str, Any]) -> None:
    """An open breaker, a failure that may be the last but one, a recovery whose ramp may go on."""
    begin("carry", "a")
    (message,) = sent()
    BreakerState.objects.create(name="courier", **trouble)
    with CaptureQueriesContext(connection) as queries:
        deliver(message)
    assert any("FROM saga_saga" not in q["sql"] and "saga_breaker" in q["sql"] for q in queries)


def test_what_changed_while_the_saga_was_waited_for_is_looked_into(world: World) -> None:
    """The statement that waits for the saga's lock sees the services as they were before."""
    (saga,) = begin("carry", "a")
    (message,) = sent()
    with transaction.atomic():
        Saga.objects.select_for_update().get(pk=saga.pk)
        waiting = in_background(lambda: deliver(message))
        wait_until_blocked()
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: (open_breaker(), connections.close_all())).result(10)
    assert isinstance(waiting.result(10), Retry)
    assert (world.names, row(saga).attempt) == ([], 0)


def state(name: str = "courier") -> BreakerView:
    """How a service stands."""
    return next(view for view in breakers() if view.name == name)


def open_breaker() -> None:
    """The courier has been away, and its pause goes on."""
    past = {"opened_at": Now(), "open_until": Now() + timedelta(seconds=10), "cooldown": 10.0}
    BreakerState.objects.update_or_create(name="courier", defaults={"state": "open", "failures": 2, **past})


def end_pause() -> None:
    """The pause is over: the next attempt is the probe."""
    BreakerState.objects.update(open_until=Now() - timedelta(seconds=1))

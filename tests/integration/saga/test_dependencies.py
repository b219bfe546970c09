"""Outside services: breaker and limits, shared by all workers, spending no tries. Driven without a broker."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import Retry
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from outbox.api import OutboxError, RetryPolicy
from outbox.models import Message
from outbox.saga.api import Breaker, Dependency, Limit, SagaDefinition, Step, register, remote, start
from outbox.saga.dependencies import breaker, gate, limits
from outbox.saga.dependencies.models import BreakerState, DependencyWait, Slot
from outbox.saga.dependencies.overview import BreakerView, breakers
from outbox.saga.models import Saga, SagaStep, SagaTransition
from tests.integration.saga.conftest import WORLD, Killed, Refusal, World, deliver, end_leases, raising, sent
from tests.integration.saga.conftest import step as deliver_due

AWAY = ConnectionError("Nobody listens.")
COURIER = Dependency("courier", breaker=Breaker(failures=2, cooldown=10.0, cap=15.0, ramp_start=1.0))
VAULT = Dependency("vault", concurrency=2, per_key=Limit(concurrency=1), key=lambda call: call.key[0])
PRESS = Dependency("press", per_second=2.0)
THRICE = RetryPolicy(max_attempts=3, initial=1, jitter=0)


def one_step(name: str, dependency: Dependency) -> SagaDefinition:
    """A saga of one step that needs the service."""
    work = remote(WORLD.work(name))
    undo = remote(WORLD.work(f"un{name}"))
    step = Step(name, work, undo, retry=THRICE, non_retryable=(Refusal,), dependency=dependency)
    return register(SagaDefinition(f"sample.{name}", steps=[step]))


one_step("carry", COURIER)
one_step("store", VAULT)
one_step("print", PRESS)


@pytest.fixture(autouse=True)
def fresh(transactional_db: None, world: World) -> None:
    """A fresh world and a fresh database."""


def begin(name: str, *keys: str) -> list[Saga]:
    """Start a saga for each key."""
    with transaction.atomic():
        return [Saga.objects.get(pk=start(f"sample.{name}", key)) for key in keys]


def row(saga: Saga) -> SagaStep:
    """The saga's only step."""
    return SagaStep.objects.get(saga=saga, direction="action")


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


def wait_of(saga: Saga) -> float:
    """Seconds until the step's message is due."""
    message = Message.objects.annotate(now=Now()).get(id=row(saga).message_id)
    return (message.next_attempt_at - message.now).total_seconds()


class TestBreaker:
    """Closed, open, half-open."""

    def test_opens_after_failures_in_a_row_and_spends_no_tries_then(self, world: World) -> None:
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

    def test_waits_as_long_as_it_takes(self, world: World) -> None:
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

    def test_an_answer_in_between_forgets(self, world: World) -> None:
        """Failures count in a row only; a refusal is an answer, too."""
        for key, fault in (("a", AWAY), ("b", Refusal("no")), ("c", AWAY), ("d", None), ("e", AWAY)):
            world.faults["carry"] = raising(fault) if fault else lambda _: None
            begin("carry", key)
            claimed = [m for m in sent() if Message.objects.get(pk=m.id).correlation_id == key]
            deliver(claimed[0])
        assert (state().state, state().failures) == ("closed", 1)

    def test_one_probe_is_let_through_and_its_answer_closes(self, world: World) -> None:
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

    def test_a_failed_probe_opens_it_for_longer_and_is_not_a_try(self, world: World) -> None:
        """One lonely saga tries again and again whether the service is back: its tries stay."""
        open_breaker()
        (saga,) = begin("carry", "a")
        world.faults["carry"] = raising(AWAY)
        for _ in range(6):
            end_pause()
            deliver_due()
        assert (row(saga).attempt, row(saga).tries, row(saga).status) == (6, 0, "scheduled")
        assert BreakerState.objects.get().cooldown == 15.0

    def test_a_dead_probes_permit_returns(self, world: World) -> None:
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

    def test_of_many_workers_one_gets_the_permit(self) -> None:
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

    def test_after_recovery_they_come_a_few_at_first(self, world: World) -> None:
        """Twenty that waited are due at growing pace after the probe: no stampede."""
        open_breaker()
        sagas = begin("carry", *(f"k{n}" for n in range(21)))
        deliver_due()
        end_pause()
        Message.objects.filter(id=row(sagas[0]).message_id).update(next_attempt_at=Now())
        assert [deliver(m) for m in sent()] == [None]
        waits = sorted(wait_of(saga) for saga in sagas[1:])
        assert sum(wait < 1 for wait in waits) <= 3
        assert 3.5 < waits[-1] < 5

    def test_a_late_probe_says_nothing(self) -> None:
        """Whoever lost the permit neither closes nor opens the breaker."""
        open_breaker()
        end_pause()
        late, holder = uuid4(), uuid4()
        assert breaker.take_probe(COURIER, holder, 30)
        assert not breaker.probe_answered(COURIER, late)
        assert not breaker.probe_failed(COURIER, late, "gone")
        assert state().state == "half_open"

    def test_compensations_wait_too(self, world: World) -> None:
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

    def test_costs_one_read_while_all_is_well(self) -> None:
        """No write to any table of the dependencies, one read of the breaker."""
        begin("carry", "a")
        (message,) = sent()
        with CaptureQueriesContext(connection) as queries:
            assert deliver(message) is None
        ours = [q["sql"] for q in queries if re.search("saga_(breaker|slot|pace|dependency)", q["sql"])]
        assert [sql.split()[0] for sql in ours] == ["SELECT"]


class TestLimits:
    """How hard a service may be used."""

    def test_no_more_at_the_same_time_than_slots(self, world: World) -> None:
        """Two of the service, one of a key; who waits is woken when a slot is free."""
        first, same_key, second, third = begin("store", "x1", "x2", "y1", "z1")
        messages = sent()
        inner = iter(messages[1:])

        def meanwhile(_: Any) -> None:
            world.faults.clear()
            assert isinstance(deliver(next(inner)), Retry)  # the key's slot is taken
            world.faults["store"] = lambda _: check(deliver(next(inner)))
            assert deliver(next(inner)) is None

        def check(told: Any) -> None:
            assert isinstance(told, Retry)  # both slots of the service are taken

        world.faults["store"] = meanwhile
        assert deliver(messages[0]) is None
        assert [row(s).status for s in (first, same_key, second, third)] == [
            "succeeded",
            "scheduled",
            "succeeded",
            "scheduled",
        ]
        assert min(wait_of(same_key), wait_of(third)) <= 0  # woken
        world.faults.clear()
        deliver_due()
        assert {row(s).status for s in (same_key, third)} == {"succeeded"}
        assert not Slot.objects.filter(holder__isnull=False).exists()

    def test_a_dead_workers_slot_returns(self, world: World) -> None:
        """Its lease runs out with the attempt's."""
        begin("store", "a1", "b1", "c1")
        world.faults["store"] = raising(Killed(), times=2)
        messages = sent()
        for message in messages[:2]:
            with pytest.raises(Killed):
                deliver(message)
        assert isinstance(deliver(messages[2]), Retry)
        Slot.objects.update(held_until=Now() - timedelta(seconds=1))
        end_leases()
        deliver_due()
        assert row(Saga.objects.get(key="c1")).status == "succeeded"

    def test_begins_no_faster_than_the_rate(self, world: World) -> None:
        """The first at once, the others half a second apart, each at a place of its own that it keeps."""
        sagas = begin("print", *(f"k{n}" for n in range(6)))
        began = time.monotonic()
        deliver_due()
        assert len(world.calls) == 1
        waits = sorted(wait_of(saga) for saga in sagas[1:])
        assert [round(b - a, 1) for a, b in pairwise(waits)] == [0.5] * 4
        deliver_due()  # too early for most: the places stay
        assert len(world.calls) <= 1 + (time.monotonic() - began) / 0.5
        DependencyWait.objects.update(ticket_at=Now())
        deliver_due()
        assert len(world.calls) == 6

    def test_many_at_once_get_no_more_slots_than_there_are(self) -> None:
        """Twelve at the same moment, each with a connection of its own, on a service that nobody has used yet."""
        together = Barrier(12)

        def take(_: int) -> bool:
            together.wait()
            try:
                with transaction.atomic():
                    return limits.take_slots("vault", [("", Limit(concurrency=3))], uuid4(), 30)
            finally:
                connection.close()

        with ThreadPoolExecutor(12) as pool:
            assert 1 <= sum(pool.map(take, range(12))) <= 3
        assert Slot.objects.filter(holder__isnull=False).count() <= 3

    def test_a_limit_that_is_lowered_counts_at_once(self) -> None:
        """Slots beyond the limit are not given away any more."""
        assert limits.take_slots("vault", [("", Limit(concurrency=2))], uuid4(), 30)
        assert not limits.take_slots("vault", [("", Limit(concurrency=1))], uuid4(), 30)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"concurrency": 0}, "concurrency must be greater than zero"),
        ({"per_key": Limit(per_second=-1.0)}, "per_key.per_second must be greater than zero"),
        ({"breaker": Breaker(cooldown=0)}, "breaker.cooldown must be greater than zero"),
        ({"name": ""}, "1 to 100 characters"),
    ],
)
def test_what_cannot_work_is_refused_in_words(given: dict[str, Any], complaint: str) -> None:
    """At import, with the name of the value."""
    with pytest.raises(OutboxError, match=re.escape(complaint)):
        replace(COURIER, **given)


def test_a_step_without_a_service_asks_nobody(saga: Saga) -> None:
    """Nothing of it is read or written."""
    (message,) = sent()
    with CaptureQueriesContext(connection) as queries:
        deliver(message)
    assert not [q for q in queries if "saga_breaker" in (q["sql"] or "")]
    assert gate.Reason.AWAY == "away"

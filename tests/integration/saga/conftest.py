"""A saga of three steps on the real database, driven without a broker: messages are claimed and run in place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from django.db.models.functions import Now

from outbox import claims
from outbox.api import RetryPolicy
from outbox.models import Message, Status
from outbox.saga.api import SagaDefinition, Step, StepCall, local, register, remote, start
from outbox.saga.models import Saga, SagaStep


class World:
    """What the steps do, and what they are told to do instead."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.recorded: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.faults: dict[str, Callable[[Any], None]] = {}

    def work(self, name: str) -> Callable[[StepCall], dict[str, Any]]:
        """A step's function of that name."""

        def run(call: StepCall) -> dict[str, Any]:
            self.calls.append((name, call.idempotency_key.split(":", 1)[1]))
            if fault := self.faults.get(name):
                fault(call)
            return {"attempt": call.attempt}

        run.__name__ = name
        return run

    def record(self, name: str) -> Callable[..., None]:
        """What is recorded of it."""

        def note(call: StepCall, result: object) -> None:
            if fault := self.faults.get(f"record {name}"):
                fault(call)
            self.recorded.append(name)

        return note

    def hook(self, what: str) -> Callable[..., None]:
        """What is called at a transition of that name."""

        def note(_: object, __: str, reason: str) -> None:
            if fault := self.faults.get(what):
                fault(None)
            self.ended.append((what, reason))

        return note

    @property
    def names(self) -> list[str]:
        """The functions that ran, in order."""
        return [name for name, _ in self.calls]


class Refusal(Exception):
    """A step's final no."""

    public_reason = "No, thank you."


WORLD = World()
TWICE = RetryPolicy(max_attempts=2, initial=1, jitter=0)

register(
    SagaDefinition(
        "sample.journey",
        steps=[
            Step(
                "first",
                action=local(WORLD.work("pack")),
                compensation=local(WORLD.work("unpack")),
                retry=TWICE,
                non_retryable=(Refusal,),
            ),
            Step(
                "second",
                action=remote(WORLD.work("book"), WORLD.record("book")),
                compensation=remote(WORLD.work("unbook"), WORLD.record("unbook")),
                retry=TWICE,
                compensation_retry=TWICE,
                non_retryable=(Refusal,),
            ),
            Step(
                "third",
                action=remote(WORLD.work("depart")),
                compensation=remote(WORLD.work("turn_round")),
                retry=TWICE,
                non_retryable=(Refusal,),
                pivot=True,
            ),
        ],
        on_completed=WORLD.hook("completed"),
        on_compensated=WORLD.hook("compensated"),
        on_parked=WORLD.hook("parked"),
    )
)


register(
    SagaDefinition(
        "sample.voyage",
        steps=[
            Step("sail", action=remote(WORLD.work("sail")), retry=TWICE, pivot=True),
            Step("thank", action=remote(WORLD.work("thank")), retry=TWICE),
            Step("archive", action=local(WORLD.work("archive")), retry=TWICE),
        ],
        on_completed=WORLD.hook("completed"),
        on_parked=WORLD.hook("parked"),
    )
)


@pytest.fixture
def world() -> World:
    """The world, fresh."""
    WORLD.__init__()  # type: ignore[misc]  # the registered steps hold this very object
    return WORLD


@pytest.fixture
def saga(transactional_db: None, world: World) -> Saga:
    """A started saga."""
    with transaction.atomic():
        return Saga.objects.get(pk=start("sample.journey", "trip-1", actor="ada"))


@pytest.fixture
def voyage(transactional_db: None, world: World) -> Saga:
    """A started saga whose first step is the pivot."""
    with transaction.atomic():
        return Saga.objects.get(pk=start("sample.voyage", "voyage-1", actor="ada"))


def raising(*errors: BaseException, times: int | None = None) -> Callable[[Any], None]:
    """A fault that raises the errors one after the other, each so many times; the last for ever, without a number."""
    left = [error for error in errors for _ in range(times or 1)]

    def fault(_: object) -> None:
        if left:
            raise left.pop(0)
        if times is None:
            raise errors[-1]

    return fault


class Killed(BaseException):
    """As good as SIGKILL: nothing of ours runs after it."""


def status(saga: Saga) -> str:
    """The saga's status in the database."""
    saga.refresh_from_db()
    return saga.status


def states() -> list[tuple[str, str, str]]:
    """Every step reached: name, direction, status."""
    return [(row.name, row.direction, row.status) for row in SagaStep.objects.all()]


def end_leases() -> None:
    """The time of every attempt at work is over."""
    SagaStep.objects.filter(status="running").update(locked_until=Now() - timedelta(seconds=1))


def sent() -> list[claims.Claimed]:
    """What is due now, sent by a relay."""
    claim = claims.claim(100)
    claims.settle_sent(claim, [m.id for m in claim.messages])
    return list(claim.messages)


def deliver(claimed: claims.Claimed) -> Exception | None:
    """Run a message's task as a worker would; returns what Celery would be told."""
    task = current_app.tasks[claimed.consumer]
    row = Message.objects.get(pk=claimed.id)
    task.push_request(
        id=str(claimed.id),
        headers={"outbox_attempt": claimed.attempts},
        called_directly=False,
        hostname="worker-1",
    )
    try:
        task(**row.payload)
    except Exception as told:  # noqa: BLE001  (whatever it is, it is what is asked for)
        return told
    finally:
        task.pop_request()
    return None


def step() -> list[Exception | None]:
    """Deliver what is due now (all waits are over)."""
    Message.objects.filter(status=Status.PENDING).update(next_attempt_at=Now())
    return [deliver(message) for message in sent()]


def run_to_the_end() -> None:
    """Deliver until nothing is on its way."""
    for _ in range(50):
        if not step():
            return
    raise AssertionError("The saga does not come to an end.")

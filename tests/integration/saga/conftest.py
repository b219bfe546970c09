"""A saga of three steps on the real database, driven without a broker: messages are claimed and run in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from django.db.models.functions import Now

from outbox import claims
from outbox.api import RetryPolicy
from outbox.models import Message, Status
from outbox.saga.api import SagaDefinition, Step, StepCall, local, register, remote, start
from outbox.saga.models import Saga


class World:
    """What the steps do, and what they are told to do instead."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.recorded: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.faults: dict[str, Callable[[StepCall], None]] = {}

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
        on_completed=lambda _, key, reason: WORLD.ended.append(("completed", reason)),
        on_compensated=lambda _, key, reason: WORLD.ended.append(("compensated", reason)),
        on_parked=lambda _, key, reason: WORLD.ended.append(("parked", reason)),
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
    claim = claims.claim(100)
    claims.settle_sent(claim, [m.id for m in claim.messages])
    return [deliver(message) for message in claim.messages]


def run_to_the_end() -> None:
    """Deliver until nothing is on its way."""
    for _ in range(50):
        if not step():
            return
    raise AssertionError("The saga does not come to an end.")

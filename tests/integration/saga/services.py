"""Three outside services, each needed by a saga of one step, and how they and their sagas stand."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from outbox.api import RetryPolicy
from outbox.models import Message
from outbox.saga.api import Breaker, Dependency, Limit, SagaDefinition, Step, register, remote, start
from outbox.saga.models import Saga, SagaStep
from tests.integration.saga.conftest import WORLD, Refusal

COURIER = Dependency("courier", breaker=Breaker(failures=2, cooldown=10.0, cap=15.0, ramp_start=1.0))
VAULT = Dependency("vault", concurrency=2, per_key=Limit(concurrency=1), key=lambda call: call.key[0])
PRESS = Dependency("press", per_second=0.2)
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


def begin(name: str, *keys: str) -> list[Saga]:
    """Start a saga for each key."""
    with transaction.atomic():
        return [Saga.objects.get(pk=start(f"sample.{name}", key)) for key in keys]


def row(saga: Saga) -> SagaStep:
    """The saga's only step."""
    return SagaStep.objects.get(saga=saga, direction="action")


def wait_of(saga: Saga) -> float:
    """Seconds until the step's message is due."""
    message = Message.objects.annotate(now=Now()).get(id=row(saga).message_id)
    return (message.next_attempt_at - message.now).total_seconds()

"""One transaction on one saga: its row is locked at the start, its next messages are written at the end.

Locks are always taken in the order saga → step → message → the application's rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet, Value
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from outbox.conf import conf
from outbox.context import current_context
from outbox.database import atomic
from outbox.models import Message
from outbox.publish import build, insert
from outbox.saga.definition import SagaDefinition, Step
from outbox.saga.models import Saga, SagaStep, SagaTransition
from outbox.saga.registry import definition_of


class Turn:
    """What happens to a saga in one transaction. Made by :func:`turn` and :func:`opening`."""

    def __init__(self, saga: Saga, definition: SagaDefinition, actor: str) -> None:
        self.saga = saga
        self.definition = definition
        self.actor = actor
        self._messages: list[Message] = []
        self._notes: list[SagaTransition] = []

    def step(self, name: str, direction: str) -> SagaStep | None:
        """The step's row in that direction, if it was reached. The saga's lock covers it."""
        return _steps().filter(saga=self.saga, name=name, direction=direction).first()

    def steps(self) -> list[SagaStep]:
        """All rows of steps reached so far."""
        return list(_steps().filter(saga=self.saga))

    def schedule(self, step: Step, direction: str) -> SagaStep:
        """Reach a step: its row and its command."""
        return _steps().create(
            saga=self.saga,
            name=step.name,
            direction=direction,
            position=self.definition.position(step),
            message_id=self.command(step, direction),
        )

    def command(self, step: Step, direction: str) -> UUID:
        """Write a step's command; returns the message's id, which is also its task's."""
        task = self.definition.task_name(step, direction)
        message = build(
            task,
            {"saga": str(self.saga.id), "key": self.saga.key},
            consumer=task,
            id=uuid7(),
            queue=step.queue,
            correlation_id=self.saga.key,
        )
        self._messages.append(message)
        return message.id

    def change(self, row: SagaStep, **values: Any) -> None:
        """Change a step's row. The caller has checked its state under the saga's lock."""
        _steps().filter(pk=row.pk).update(**values)

    def update(self, **values: Any) -> None:
        """Change the saga's row, here and in the database."""
        Saga.objects.using(conf().DATABASE).filter(pk=self.saga.pk).update(**values)
        for name, value in values.items():
            setattr(self.saga, name, value)

    def note(self, what: str, row: SagaStep | None = None, detail: str = "") -> None:
        """Add a line to the saga's history."""
        self._notes.append(
            SagaTransition(
                saga=self.saga,
                what=what,
                step=row.name if row else "",
                direction=row.direction if row else "",
                attempt=row.attempt if row else None,
                actor=self.actor,
                detail=detail,
                traceparent=current_context().traceparent,
            )
        )

    def flush(self) -> None:
        """Write the history and the next messages."""
        if self._notes:
            SagaTransition.objects.using(conf().DATABASE).bulk_create(self._notes)
        insert(self._messages)


@contextmanager
def opening(definition: SagaDefinition, key: str, actor: str) -> Iterator[Turn]:
    """A new saga, in the caller's transaction."""
    saga = Saga.objects.using(conf().DATABASE).create(
        definition=definition.name,
        version=definition.version,
        key=key,
        deadline_at=Now() + timedelta(seconds=definition.deadline),
    )
    opened = Turn(saga, definition, actor)
    yield opened
    opened.flush()


@contextmanager
def turn(saga_id: UUID | str, actor: str, *, skip_locked: bool = False) -> Iterator[Turn | None]:
    """Lock a saga and do one thing to it; ``None`` when it is gone (or held by another, with ``skip_locked``).

    Raises:
        UnknownSaga: its definition is not registered in this process.
    """
    with atomic():
        locked = Saga.objects.using(conf().DATABASE).select_for_update(skip_locked=skip_locked)
        saga = locked.filter(pk=saga_id).first()
        if saga is None:
            yield None
            return
        taken = Turn(saga, definition_of(saga.definition), actor)
        yield taken
        taken.flush()


def lease(seconds: float) -> dict[str, Any]:
    """The columns of an attempt that begins now, by the database's clock."""
    return {
        "status": SagaStep.Status.RUNNING,
        "attempt": F("attempt") + Value(1),
        "tries": F("tries") + Value(1),
        "started_at": Now(),
        "locked_until": Now() + timedelta(seconds=seconds),
    }


def _steps() -> QuerySet[SagaStep]:
    return SagaStep.objects.using(conf().DATABASE).all()

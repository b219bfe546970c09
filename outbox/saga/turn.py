"""One transaction on one saga: its row is locked and read at the start, what has changed is written at the end.

Locks are always taken in the order saga → step → message → the application's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from outbox.context import current_context
from outbox.publish import build
from outbox.rows import NewMessage
from outbox.saga import registry, versions
from outbox.saga.calls import StepCall
from outbox.saga.definition import SagaDefinition
from outbox.saga.exceptions import NoSuchSaga
from outbox.saga.models import Saga, SagaStep
from outbox.saga.steps import Step
from outbox.saga.store import Command, FromNow, Loaded, Store, store


class Note(NamedTuple):
    """A line of a saga's history: a row of :class:`outbox.saga.models.SagaTransition`, and quicker made than one."""

    saga_id: UUID
    number: int
    what: str
    step: str
    direction: str
    attempt: int | None
    actor: str
    detail: str
    traceparent: str


class Turn:
    """What happens to a saga in one transaction. Made by :func:`turn` and :func:`opening`."""

    def __init__(
        self, loaded: Loaded, definition: SagaDefinition, actor: str, *, is_new: bool = False
    ) -> None:
        self.saga = loaded.saga
        self.definition = definition
        self.actor = actor
        self.now = loaded.now
        self.is_new = is_new
        self.store: Store = store()
        self.definition_paused = loaded.definition_paused
        self.consumed = loaded.consumed
        self.is_calm = loaded.is_calm
        self.rows = loaded.rows
        self.new_rows: list[SagaStep] = []
        self.saga_changes: set[str] = set()
        self.row_changes: dict[int, tuple[SagaStep, set[str]]] = {}
        self.notes: list[Note] = []
        self.messages: list[NewMessage] = []

    @property
    def is_paused(self) -> bool:
        """Whether a person holds the saga, or all of its definition."""
        return self.definition_paused or self.saga.paused_at is not None

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.is_new or self.saga_changes or self.row_changes or self.new_rows or self.notes)

    def step(self, name: str, direction: str) -> SagaStep | None:
        """The step's row in that direction, if it was reached. The saga's lock covers it."""
        return next((row for row in self.rows if row.name == name and row.direction == direction), None)

    def steps(self, direction: str | None = None) -> list[SagaStep]:
        """All rows of steps reached so far, in the order in which they were."""
        return [row for row in self.rows if direction in (None, row.direction)]

    def schedule(self, step: Step, direction: str) -> SagaStep:
        """Reach a step: its row and its command."""
        return self._add(step, direction, message_id=self.command(step, direction))

    def wait(self, step: Step) -> SagaStep:
        """Reach a step that waits for an outside event."""
        until = FromNow(step.timeout)
        return self._add(
            step, "action", status=SagaStep.Status.WAITING, event=step.waits_for, locked_until=until
        )

    def command(self, step: Step, direction: str, delay: float = 0) -> UUID:
        """Write a step's command, due in ``delay`` seconds; returns the message's id, which is also its task's."""
        task = self.definition.task_name(step, direction)
        message = build(
            task,
            {"saga": str(self.saga.id), "key": self.saga.key},
            consumer=task,
            id=uuid7(),
            queue=step.queue,
            correlation_id=self.saga.key,
            delay=delay,
        )
        self.messages.append(message)
        return message.id

    def call(self, row: SagaStep, extend: Callable[[], None] | None = None) -> StepCall:
        """What the step's functions are told."""
        key = f"{self.saga.id}:{row.name}"
        call = StepCall(
            self.saga.id,
            self.saga.key,
            self.saga.context,
            f"{key}:{row.direction}",
            f"{key}:action",
            row.attempt,
            self.saga.reason,
            self.definition.types,
        )
        if extend is not None:
            object.__setattr__(call, "extend", extend)
        return call

    def change(self, row: SagaStep, **values: Any) -> None:
        """Change a step's row. The caller has checked its state under the saga's lock."""
        _, names = self.row_changes.setdefault(id(row), (row, set()))
        names.update(values)
        _set(row, values)

    def update(self, **values: Any) -> None:
        """Change the saga's row."""
        self.saga_changes.update(values)
        _set(self.saga, values)

    def is_over(self, moment: datetime | float | None) -> bool:
        """Whether a time has passed, by the store's clock; a time written in this very turn has not."""
        return isinstance(moment, datetime) and moment < self.now

    def note(self, what: str, row: SagaStep | None = None, detail: str = "") -> None:
        """Add a line to the saga's history."""
        self.saga.entries += 1
        self.notes.append(
            Note(
                self.saga.id,
                self.saga.entries,
                what,
                row.name if row else "",
                row.direction if row else "",
                row.attempt if row else None,
                self.actor,
                detail,
                current_context().traceparent,
            )
        )

    def rearm(self, row: SagaStep, delay: float, error: str = "") -> None:
        """Make a step's message due again; write a new one where it was discarded or deleted meanwhile."""
        if row.message_id is None or not self.store.rearm(row.message_id, delay, error, self.actor):
            step = self.definition.step(row.name)
            self.change(row, message_id=self.command(step, row.direction, delay))

    def call_off(self, row: SagaStep, reason: str) -> None:
        """Close a step's message: copies of it that are on their way do nothing."""
        if row.message_id is not None:
            self.store.call_off(row.message_id, reason)

    def _add(self, step: Step, direction: str, **values: Any) -> SagaStep:
        position = self.definition.position(step)
        row = SagaStep(saga_id=self.saga.id, name=step.name, direction=direction, position=position)
        _set(row, values)
        self.rows.append(row)
        self.new_rows.append(row)
        return row


@contextmanager
def opening(definition: SagaDefinition, key: str, actor: str) -> Iterator[Turn]:
    """A new saga, in the caller's transaction."""
    saga = Saga(
        definition=definition.name,
        version=definition.version,
        context_version=definition.context_version,
        key=key,
    )
    saga.deadline_at = FromNow(definition.deadline)  # type: ignore[assignment]
    nothing_was_read = Loaded(saga, [], datetime.min.replace(tzinfo=UTC), definition_paused=False)
    opened = Turn(nothing_was_read, definition, actor, is_new=True)
    yield opened
    opened.store.write(opened)


@contextmanager
def turn(
    saga_id: UUID | str, actor: str, *, skip_locked: bool = False, command: Command | None = None
) -> Iterator[Turn | None]:
    """Lock a saga and do one thing to it; ``None`` when it is gone (or held by another, with ``skip_locked``).

    A ``command`` is consumed in the same transaction; :attr:`Turn.consumed` says whether it was there to be.

    Raises:
        UnknownSaga, UnknownVersion: its definition is not registered in this process.
    """
    with store().transaction():
        loaded = store().load(as_saga_id(saga_id), skip_locked=skip_locked, command=command)
        if loaded is None:
            yield None
            return
        saga = loaded.saga
        taken = Turn(loaded, registry.definition_of(saga.definition, saga.version), actor)
        versions.catch_up(taken)
        yield taken
        if taken.has_changes:
            taken.store.write(taken)


def as_saga_id(saga_id: object) -> UUID:
    """A saga's id, from whoever wrote the command.

    Raises:
        NoSuchSaga: it is no UUID.
    """
    if isinstance(saga_id, UUID):
        return saga_id
    try:
        return UUID(str(saga_id))
    except ValueError:
        raise NoSuchSaga(f"There is no saga {saga_id!r}: a command names its saga's id, a UUID.") from None


def _set(row: Saga | SagaStep, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)

"""Where the engine keeps sagas: the seam between its decisions and the database.

The engine decides on rows in memory and never asks a database anything. In production they come from
:mod:`outbox.saga.database`; a simulator that checks the decisions brings a store of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import UUID

from outbox.saga.models import Saga, SagaStep

if TYPE_CHECKING:
    from outbox.saga.turn import Turn


class FromNow(float):
    """A time to be written: seconds from now, by the clock of the store."""


class Command(NamedTuple):
    """A step's command as a worker received it: its message, and the attempt of that which this delivery is."""

    message_id: UUID
    delivery: int


@dataclass
class Loaded:
    """A saga whose row is locked, as the database has it at ``now``.

    Args:
        definition_paused: a person has paused all sagas of its definition.
        consumed: the command that was to be consumed was not consumed yet, and is now.
        is_calm: no service is in trouble, or was lately, and no step of the saga waits for one. ``False``: not known.
    """

    saga: Saga
    rows: list[SagaStep]
    now: datetime
    definition_paused: bool
    consumed: bool = False
    is_calm: bool = False


@dataclass(frozen=True)
class Signal:
    """An outside event that a step has taken."""

    id: str
    payload: Any


class Store(Protocol):
    """What the engine asks of a database."""

    def transaction(self) -> AbstractContextManager[Any]:
        """All or nothing; inside another one, a savepoint."""

    def require_transaction(self, what: str) -> None:
        """As :func:`outbox.publish.require_transaction`."""

    def load(
        self, saga_id: UUID, *, skip_locked: bool = False, command: Command | None = None
    ) -> Loaded | None:
        """Lock a saga and read it with its steps; ``None``: there is none, or another holds it (``skip_locked``).

        Behind that lock a ``command`` is consumed, as by :func:`outbox.consumption.consume`. Where ``None`` is
        returned it may be, too: roll back.
        """

    def write(self, turn: Turn) -> None:
        """Write what a turn has changed, its history and its messages."""

    def rearm(self, message_id: UUID, delay: float, error: str, worker: str) -> bool:
        """As :func:`outbox.consumption.rearm`."""

    def call_off(self, message_id: UUID, reason: str) -> bool:
        """As :func:`outbox.consumption.call_off`."""

    def has_live_message(self, message_id: UUID) -> bool:
        """Whether a message is still on its way."""

    def keep_signal(self, definition: str, key: str, event: str, signal: Signal) -> bool:
        """Keep an outside event; ``False``: it is known already."""

    def take_signal(self, saga: Saga, event: str) -> Signal | None:
        """Take the oldest event of that name that nobody has taken yet."""

    def saga_of(self, definition: str, key: str) -> UUID | None:
        """The saga of a key."""

    def past_lease(self, limit: int) -> Sequence[UUID]:
        """Sagas with an attempt whose lease, or a wait whose time, is over."""

    def past_deadline(self, limit: int) -> Sequence[UUID]:
        """Running sagas whose deadline is over."""

    def orphaned(self, limit: int) -> Sequence[UUID]:
        """Sagas with a step whose message will never come."""

    def released(self, limit: int) -> Sequence[UUID]:
        """Sagas that go on after a pause, and have steps that were held."""

    def signalled(self, limit: int) -> Sequence[UUID]:
        """Sagas that wait for an event which is there."""

    def outdated(self, limit: int) -> Sequence[UUID]:
        """Open sagas of an older version that is to be migrated here."""

    def is_long_overdue(self, saga_id: UUID) -> bool:
        """Whether something of a saga should have happened minutes ago."""

    def park(self, saga_id: UUID, actor: str, reason: str) -> bool:
        """Park an open saga by what its row says alone; ``False``: it moved on, or another holds it."""


_current: ContextVar[Store | None] = ContextVar("outbox_saga_store", default=None)


def store() -> Store:
    """The store in use: the database, unless :func:`using` says otherwise."""
    chosen = _current.get()
    if chosen is None:
        from outbox.saga.database import DATABASE_STORE

        return DATABASE_STORE
    return chosen


@contextmanager
def using(other: Store) -> Iterator[None]:
    """Keep sagas elsewhere, in this context."""
    token = _current.set(other)
    try:
        yield
    finally:
        _current.reset(token)

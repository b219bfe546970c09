"""A store of sagas in memory, with the database's promises: a transaction is all or nothing, one turn at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from outbox.saga import registry
from outbox.saga.models import Saga, SagaStep
from outbox.saga.store import Command, FromNow, Loaded, Signal
from outbox.saga.turn import Turn

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
SAGA = tuple(str(f.column) for f in Saga._meta.concrete_fields)
STEP = tuple(str(f.column) for f in SagaStep._meta.concrete_fields)
OPEN = ("running", "compensating")
Values = dict[str, Any]


@dataclass
class Sent:
    """A message: what the engine has to know of it."""

    status: str = "pending"
    attempts: int = 0
    due: float = 0.0
    is_consumed: bool = False

    @property
    def is_live(self) -> bool:
        """Still on its way."""
        return not self.is_consumed and self.status != "failed"


class DiedBeforeCommitError(BaseException):
    """As good as SIGKILL in the middle of a transaction."""


class MemoryStore:
    """One saga, its steps, its history, its messages, the signals that came for it."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.saga: Values = {}
        self.rows: list[Values] = []
        self.notes: list[tuple[int, str, str, str]] = []
        self.messages: dict[UUID, Sent] = {}
        self.signals: dict[tuple[str, str], tuple[Any, bool]] = {}
        self.is_definition_paused = False
        self.dies_at_commit = False
        self._undo: list[Callable[[], None]] = []
        self._depth = 0

    @property
    def now(self) -> datetime:
        """The clock as the engine sees it."""
        return EPOCH + timedelta(seconds=self.clock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undone as a whole when it ends with an error; a savepoint inside another."""
        mark, self._depth = len(self._undo), self._depth + 1
        try:
            yield
            if self._depth == 1 and self.dies_at_commit:
                raise DiedBeforeCommitError  # noqa: TRY301  (rolled back below)
        except BaseException:
            while len(self._undo) > mark:
                self._undo.pop()()
            raise
        finally:
            self._depth -= 1
            if not self._depth:
                self._undo.clear()

    def require_transaction(self, what: str) -> None:
        """As it says."""
        assert self._depth

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """For effects of the application in the same transaction."""
        if self._depth:
            self._undo.append(undo)

    def load(
        self, saga_id: UUID, *, skip_locked: bool = False, command: Command | None = None
    ) -> Loaded | None:
        """Fresh objects of the saga as it is now."""
        if self.saga.get("id") != saga_id:
            return None
        consumed = command is not None and self._consume(*command)
        saga = Saga.from_db("default", SAGA, [self.saga[name] for name in SAGA])
        rows = [SagaStep.from_db("default", STEP, [row[name] for name in STEP]) for row in self.rows]
        paused = self.is_definition_paused
        return Loaded(saga, rows, self.now, definition_paused=paused, consumed=consumed)

    def write(self, turn: Turn) -> None:
        """What has changed, and nothing else."""
        before, count, rows = dict(self.saga), len(self.notes), [dict(row) for row in self.rows]

        def undo() -> None:
            self.saga, self.rows = before, rows
            del self.notes[count:]

        self.on_rollback(undo)
        turn.saga.revision += 1
        self.saga = {name: self._kept(getattr(turn.saga, name)) for name in SAGA}
        new = {id(row) for row in turn.new_rows}
        for row, names in turn.row_changes.values():
            if id(row) not in new:
                target = next(one for one in self.rows if one["id"] == row.pk)
                target.update({name: self._kept(getattr(row, name)) for name in names})
        for row in turn.new_rows:
            made = {name: self._kept(getattr(row, name)) for name in STEP}
            made |= {"id": len(self.rows) + 1, "scheduled_at": self.now}
            self.rows.append(made)
        self.notes += [(note.number, note.what, note.step, note.direction) for note in turn.notes]
        for message in turn.messages:
            self._put(message.id, Sent(due=self.clock))

    def rearm(self, message_id: UUID, delay: float, error: str, worker: str) -> bool:
        """Unless it was discarded."""
        sent = self.messages.get(message_id)
        if sent is None or sent.status == "failed":
            return False
        self._put(message_id, Sent("pending", sent.attempts, self.clock + delay))
        return True

    def call_off(self, message_id: UUID, reason: str) -> bool:
        """Unless it was consumed."""
        sent = self.messages.get(message_id)
        if sent is None or not sent.is_live:
            return False
        self._put(message_id, Sent("failed", sent.attempts))
        return True

    def has_live_message(self, message_id: UUID) -> bool:
        """As it says."""
        sent = self.messages.get(message_id)
        return sent is not None and sent.is_live

    def keep_signal(self, definition: str, key: str, event: str, signal: Signal) -> bool:
        """Once for each id."""
        if (event, signal.id) in self.signals:
            return False
        self._put_signal(event, signal.id, signal.payload, is_taken=False)
        return True

    def take_signal(self, saga: Saga, event: str) -> Signal | None:
        """The oldest."""
        for (name, id_), (payload, is_taken) in self.signals.items():
            if name == event and not is_taken:
                self._put_signal(event, id_, payload, is_taken=True)
                return Signal(id_, payload)
        return None

    def saga_of(self, definition: str, key: str) -> UUID | None:
        """The only one."""
        return self.saga.get("id")

    def past_lease(self, limit: int) -> Sequence[UUID]:
        """Also a wait whose time is over, unless a person holds the saga."""
        statuses = ("running",) if self._is_paused else ("running", "waiting")
        return self._if(any(r["status"] in statuses and r["locked_until"] < self.now for r in self.rows))

    def past_deadline(self, limit: int) -> Sequence[UUID]:
        """As it says."""
        is_due = (
            self.saga["status"] == "running" and not self.saga["cancel_requested"] and not self._is_paused
        )
        return self._if(is_due and self.saga["deadline_at"] < self.now)

    def orphaned(self, limit: int) -> Sequence[UUID]:
        """After a minute."""
        late = self.now - timedelta(minutes=1)
        scheduled = [r for r in self.rows if r["status"] == "scheduled" and not r["held"]]
        return self._if(
            any(r["scheduled_at"] < late and not self.has_live_message(r["message_id"]) for r in scheduled)
        )

    def released(self, limit: int) -> Sequence[UUID]:
        """As it says."""
        return self._if(not self._is_paused and any(r["held"] for r in self.rows))

    def signalled(self, limit: int) -> Sequence[UUID]:
        """As it says."""
        there = {event for (event, _), (_, is_taken) in self.signals.items() if not is_taken}
        return self._if(any(r["status"] == "waiting" and r["event"] in there for r in self.rows))

    def outdated(self, limit: int) -> Sequence[UUID]:
        """As it says."""
        return self._if(self.saga["version"] in registry.behind(self.saga["definition"]))

    def is_long_overdue(self, saga_id: UUID) -> bool:
        """There is one process here: nobody else knows more."""
        return True

    def park(self, saga_id: UUID, actor: str, reason: str) -> bool:
        """Without hooks."""
        if self.saga["status"] not in OPEN:
            return False
        self.saga |= {"status": "needs_attention", "attention": reason, "entries": self.saga["entries"] + 1}
        self.notes.append((self.saga["entries"], "parked", "", ""))
        return True

    def _consume(self, message_id: UUID, delivery: int) -> bool:
        """Only the current attempt of a message that is on its way."""
        sent = self.messages.get(message_id)
        if (
            sent is None
            or sent.is_consumed
            or sent.attempts != delivery
            or sent.status not in ("processing", "sent")
        ):
            return False
        self._put(message_id, Sent("sent", sent.attempts, sent.due, is_consumed=True))
        return True

    @property
    def _is_paused(self) -> bool:
        return self.is_definition_paused or self.saga["paused_at"] is not None

    def _if(self, condition: bool) -> list[UUID]:
        return [self.saga["id"]] if condition and self.saga["status"] in OPEN else []

    def _kept(self, value: Any) -> Any:
        return self.now + timedelta(seconds=value) if isinstance(value, FromNow) else value

    def _put(self, message_id: UUID, sent: Sent) -> None:
        before = self.messages.get(message_id)
        self.on_rollback(
            lambda: (
                self.messages.pop(message_id) and None
                if before is None
                else self.messages.__setitem__(message_id, before)
            )
        )
        self.messages[message_id] = sent

    def _put_signal(self, event: str, id_: str, payload: Any, *, is_taken: bool) -> None:
        before = self.signals.get((event, id_))
        self.on_rollback(
            lambda: (
                self.signals.pop((event, id_)) and None
                if before is None
                else self.signals.__setitem__((event, id_), before)
            )
        )
        self.signals[event, id_] = (payload, is_taken)

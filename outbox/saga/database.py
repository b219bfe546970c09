"""The store of sagas in PostgreSQL: one statement to lock and read a saga, one to write all that a turn has changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from django.db import models

from outbox import consumption, inserting
from outbox.conf import conf
from outbox.database import atomic, execute, fetch
from outbox.publish import require_transaction
from outbox.saga import due
from outbox.saga.dependencies import breaker
from outbox.saga.exceptions import WrongResult
from outbox.saga.models import Saga, SagaStep, SagaTransition
from outbox.saga.store import Command, FromNow, Loaded, Signal
from outbox.saga.turn import Note, Turn
from outbox.store.postgresql.consuming import CONSUME

Part = tuple[str, list[Any]]

LOAD = """
WITH locked AS MATERIALIZED (SELECT * FROM saga_saga WHERE id = %s FOR UPDATE{skip_locked}){consumed}
SELECT {saga}, statement_timestamp(), (SELECT x.revision FROM saga_saga x WHERE x.id = s.id),
    EXISTS (SELECT FROM saga_sagapause z WHERE z.definition = s.definition AND z.ended_at IS NULL), {command}, {steps}
FROM locked s LEFT JOIN saga_sagastep p ON p.saga_id = s.id ORDER BY p.id
"""
"""A statement that has waited for a lock sees the locked row as it is now, and all others as they were when it began
(READ COMMITTED). The second revision is of that time: where they differ, the steps are stale."""

CONSUMED = (
    f", consumed (keyed) AS ({CONSUME.replace('RETURNING', 'AND EXISTS (SELECT FROM locked) RETURNING')})"
)
"""Behind the saga's lock, and once: what a statement updates it sees as it is now."""

OF_COMMAND = f"(SELECT keyed FROM consumed), {breaker.IS_CALM.format(saga='s.id')}"  # noqa: S608  (constants only)


def _columns(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(str(f.column) for f in model._meta.concrete_fields)


def _json_columns(model: type[models.Model]) -> frozenset[str]:
    return frozenset(str(f.column) for f in model._meta.concrete_fields if isinstance(f, models.JSONField))


class DatabaseStore:
    """Sagas as rows. All times are the database's."""

    def __init__(self) -> None:
        self._saga, self._step = _columns(Saga), _columns(SagaStep)
        self._saga_columns = ", ".join(f"s.{column}" for column in self._saga)
        self._step_columns = ", ".join(f"p.{column}" for column in self._step)
        self._json = {Saga: _json_columns(Saga), SagaStep: _json_columns(SagaStep)}

    def transaction(self) -> AbstractContextManager[Any]:
        """A transaction, or a savepoint."""
        return atomic()

    def require_transaction(self, what: str) -> None:
        """On the outbox's database."""
        require_transaction(what)

    def load(
        self, saga_id: UUID, *, skip_locked: bool = False, command: Command | None = None
    ) -> Loaded | None:
        """Lock, consume and read, in one statement; read again when it had to wait for another's changes."""
        sql = self._loading(skip_locked=skip_locked, consuming=command is not None)
        params: list[Any] = [saga_id]
        if command is not None:
            params += [*command, *[consumption.task_at_work()] * 3]
        consumed = False
        while found := fetch(sql, params, prepared=True):
            saga, steps = self._made(Saga, found[0][: len(self._saga)]), len(self._saga) + 5
            now, seen, paused, keyed, calm = found[0][len(self._saga) : steps]
            if command is not None and keyed is not None:
                consumed = consumption.note_end(command.message_id, keyed)
            if saga.revision == seen:
                rows = [self._made(SagaStep, row[steps:]) for row in found if row[steps] is not None]
                return Loaded(saga, rows, now, definition_paused=paused, consumed=consumed, is_calm=calm)
            sql, params = self._loading(), [saga_id]
        return None

    def write(self, turn: Turn) -> None:
        """All that has changed, its history and its messages, in one statement.

        Raises:
            WrongResult: a result cannot be kept as JSON.
            IntegrityError: a saga of that definition and key is there already.
        """
        parts = [*self._saga_part(turn), *self._row_parts(turn)]
        if turn.notes:
            parts.append(_insert(SagaTransition, Note._fields, turn.notes))
        if turn.messages:
            sql, params, follow_up = inserting.as_part(turn.messages)
            _execute_together([*parts, (sql, params)])
            follow_up()
        else:
            _execute_together(parts)

    def rearm(self, message_id: UUID, delay: float, error: str, worker: str) -> bool:
        """In the turn's transaction."""
        return consumption.rearm(message_id, delay, error, worker=worker)

    def call_off(self, message_id: UUID, reason: str) -> bool:
        """In the turn's transaction."""
        return consumption.call_off(message_id, reason)

    def has_live_message(self, message_id: UUID) -> bool:
        """Not consumed, not failed."""
        return bool(fetch(due.LIVE_MESSAGE, [message_id]))

    def keep_signal(self, definition: str, key: str, event: str, signal: Signal) -> bool:
        """One INSERT; waits for another that keeps the same signal right now."""
        payload = _as_json(signal.payload)
        return execute(due.KEEP_SIGNAL, [definition, key, event, signal.id, payload]) == 1

    def take_signal(self, saga: Saga, event: str) -> Signal | None:
        """One UPDATE."""
        rows = fetch(due.TAKE_SIGNAL, [saga.definition, saga.key, event])
        return Signal(rows[0][0], json.loads(rows[0][1] or "null")) if rows else None

    def saga_of(self, definition: str, key: str) -> UUID | None:
        """By its unique key."""
        rows = fetch("SELECT id FROM saga_saga WHERE definition = %s AND key = %s", [definition, key])
        return rows[0][0] if rows else None

    def past_lease(self, limit: int) -> Sequence[UUID]:
        """Those that are overdue longest first."""
        return _ids(due.PAST_LEASE, limit)

    def past_deadline(self, limit: int) -> Sequence[UUID]:
        """Those that are overdue longest first."""
        return _ids(due.PAST_DEADLINE, limit)

    def orphaned(self, limit: int) -> Sequence[UUID]:
        """After a minute: a message may be consumed and its attempt begun by now."""
        return _ids(due.ORPHANED, limit)

    def released(self, limit: int) -> Sequence[UUID]:
        """In no order."""
        return _ids(due.RELEASED, limit)

    def signalled(self, limit: int) -> Sequence[UUID]:
        """In no order."""
        return _ids(due.SIGNALLED, limit)

    def outdated(self, limit: int) -> Sequence[UUID]:
        """In no order."""
        return due.outdated(limit)

    def is_long_overdue(self, saga_id: UUID) -> bool:
        """By minutes, or for ever."""
        return bool(fetch(due.LONG_OVERDUE, [saga_id]))

    def park(self, saga_id: UUID, actor: str, reason: str) -> bool:
        """In a transaction of its own."""
        return execute(due.PARK, [saga_id, reason, "parked", actor, reason]) == 1

    def _loading(self, *, skip_locked: bool = False, consuming: bool = False) -> str:
        return LOAD.format(
            skip_locked=" SKIP LOCKED" if skip_locked else "",
            consumed=CONSUMED if consuming else "",
            command=OF_COMMAND if consuming else "NULL, FALSE",
            saga=self._saga_columns,
            steps=self._step_columns,
        )

    def _made(self, model: type[Any], values: Sequence[Any]) -> Any:
        """A model's instance of raw values; JSON columns come as texts."""
        texts, columns = self._json[model], self._saga if model is Saga else self._step
        ready = [
            json.loads(value) if column in texts and value is not None else value
            for column, value in zip(columns, values, strict=True)
        ]
        return model.from_db(conf().DATABASE, columns, ready)

    def _saga_part(self, turn: Turn) -> list[Part]:
        turn.saga.revision += 1
        if turn.is_new:
            given = [c for c in self._saga if c != "started_at"]  # the database's default
            return [_insert(Saga, given, [[_value(turn.saga, c, self._json[Saga]) for c in given]])]
        changed = {*turn.saga_changes, "revision", *(["entries"] if turn.notes else [])}
        return [_update(turn.saga, changed, self._json[Saga])]

    def _row_parts(self, turn: Turn) -> Iterable[Part]:
        texts = self._json[SagaStep]
        new = {id(row) for row in turn.new_rows}
        for key, (row, changed) in turn.row_changes.items():
            if key not in new:
                yield _update(row, changed, texts)
        if turn.new_rows:
            given = [c for c in self._step if c not in ("id", "scheduled_at")]
            yield _insert(SagaStep, given, [[_value(row, c, texts) for c in given] for row in turn.new_rows])


def _value(row: models.Model, column: str, texts: frozenset[str]) -> Any:
    value = getattr(row, column)
    return _as_json(value) if column in texts and value is not None else value


def _as_json(value: Any) -> str | None:
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise WrongResult(f"It cannot be kept as JSON: {error}") from error


def _placeholder(value: Any, *, is_json: bool) -> str:
    if isinstance(value, FromNow):
        return "statement_timestamp() + make_interval(secs => %s)"
    return "%s::jsonb" if is_json else "%s"


def _update(row: models.Model, changed: Iterable[str], texts: frozenset[str]) -> Part:
    names = sorted(changed)
    values = [_value(row, name, texts) for name in names]
    sets = ", ".join(
        f"{n} = {_placeholder(v, is_json=n in texts)}" for n, v in zip(names, values, strict=True)
    )
    return f"UPDATE {row._meta.db_table} SET {sets} WHERE id = %s", [*values, row.pk]  # noqa: S608  (our columns)


def _insert(model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Part:
    texts = _json_columns(model)
    lines = ", ".join(
        f"({', '.join(_placeholder(v, is_json=n in texts) for n, v in zip(names, row, strict=True))})"
        for row in rows
    )
    sql = f"INSERT INTO {model._meta.db_table} ({', '.join(names)}) VALUES {lines}"  # noqa: S608  (our columns)
    return sql, [value for row in rows for value in row]


def _execute_together(parts: Sequence[Part]) -> None:
    """Several writes of different rows as one statement."""
    *first, (last, last_params) = parts
    with_ = ", ".join(f"part{n} AS ({sql})" for n, (sql, _) in enumerate(first))
    params = [value for _, values in first for value in values]
    execute(f"WITH {with_} {last}" if first else last, [*params, *last_params], prepared=True)


def _ids(sql: str, limit: int) -> list[UUID]:
    return [row[0] for row in fetch(sql, [limit])]


DATABASE_STORE = DatabaseStore()

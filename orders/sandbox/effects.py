"""What the ledger remembers: effects and their undoing, each acted on once for its idempotency key.

Payments and shipments obey the same rules, so the rules live here once:

- a key acts once; asked again with the same details it gives the same answer, with others it is a mismatch;
- a refusal is remembered like an effect: the same key is refused again;
- undoing an effect that never happened leaves a *void* tombstone: a late request for it is refused for ever;
- an effect is undone once, however many keys ask for it.

Every function runs inside the caller's transaction (``Ledger.write``), so that key and effect are one commit.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class Service(StrEnum):
    """The two outside services that the sandbox stands in for."""

    PAYMENT = "payment"
    SHIPPING = "shipping"


class State(StrEnum):
    """The state of an effect: done → undone; or refused; or voided before it could happen."""

    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"
    VOIDED = "voided"


class Verdict(StrEnum):
    """What became of a request with an idempotency key."""

    NEW = "new"
    REPLAYED = "replayed"
    MISMATCH = "mismatch"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Request:
    """A request for an effect. ``details`` must be JSON-able; it tells two requests apart."""

    service: Service
    key: str
    reference: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """A request to take back the effect that ``target_key`` asked for."""

    service: Service
    key: str
    target_key: str
    reference: str


@dataclass(frozen=True, slots=True)
class Effect:
    """A row of the ledger. Times are ISO 8601 in UTC by the sandbox's own clock: it is the outside world."""

    seq: int
    key: str
    id: str
    state: State
    reference: str
    details: Mapping[str, Any]
    refusal: str | None
    created_at: str
    undone_at: str | None


@dataclass(frozen=True, slots=True)
class Undo:
    """What came of an undo request: ``undone`` is false when there was nothing to take back."""

    id: str
    target_key: str
    undone: bool


def perform(connection: sqlite3.Connection, request: Request, refusal: str | None) -> tuple[Verdict, Effect]:
    """Act once on ``request``: record the effect, or its refusal when ``refusal`` is a code.

    ``refusal`` counts for a new key only; a known key keeps its first answer.
    """
    known = find(connection, request.service, request.key)
    if known is None:
        state = State.DONE if refusal is None else State.REFUSED
        return Verdict.NEW, _insert(connection, request, state, refusal)
    if known.state is State.VOIDED:
        return Verdict.VOIDED, known
    if (known.reference, known.details) != (request.reference, request.details):
        return Verdict.MISMATCH, known
    return Verdict.REPLAYED, known


def undo(connection: sqlite3.Connection, request: UndoRequest) -> tuple[Verdict, Undo]:
    """Take an effect back, once; leave a tombstone when there is none.

    An effect that another key has already taken back counts as undone: the money is back, nothing moves
    again.
    """
    known = _find_undo(connection, request)
    if known is not None:
        return known
    target = find(connection, request.service, request.target_key)
    if target is None:
        tombstone = Request(request.service, request.target_key, request.reference, {})
        _insert(connection, tombstone, State.VOIDED, None)
    elif target.state is State.DONE:
        connection.execute(_MARK_UNDONE, (_now(), target.seq))
    undone = target is not None and target.state in (State.DONE, State.UNDONE)
    return Verdict.NEW, _insert_undo(connection, request, undone)


def find(connection: sqlite3.Connection, service: Service, key: str) -> Effect | None:
    """The effect that ``key`` asked for, or None."""
    row = connection.execute(_FIND, (service, key)).fetchone()
    return None if row is None else _effect(row)


def page(
    connection: sqlite3.Connection, service: Service, *, after: int, limit: int, reference: str | None
) -> list[Effect]:
    """Up to ``limit`` effects with a ``seq`` above ``after``, in the order they were recorded."""
    if reference is None:
        rows = connection.execute(_PAGE, (service, after, limit))
    else:
        rows = connection.execute(_PAGE_OF_REFERENCE, (service, reference, after, limit))
    return [_effect(row) for row in rows]


_FIND = "SELECT * FROM effects WHERE service = ? AND key = ?"
_PAGE = "SELECT * FROM effects WHERE service = ? AND seq > ? ORDER BY seq LIMIT ?"
_PAGE_OF_REFERENCE = (
    "SELECT * FROM effects WHERE service = ? AND reference = ? AND seq > ? ORDER BY seq LIMIT ?"
)
_INSERT = (
    "INSERT INTO effects (service, key, state, reference, details, refusal, created_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *"
)
_MARK_UNDONE = "UPDATE effects SET state = 'undone', undone_at = ? WHERE seq = ? AND state = 'done'"
_FIND_UNDO = "SELECT * FROM undos WHERE service = ? AND key = ?"
_INSERT_UNDO = (
    "INSERT INTO undos (service, key, target_key, reference, undone, created_at) VALUES (?, ?, ?, ?, ?, ?)"
)


def _insert(connection: sqlite3.Connection, request: Request, state: State, refusal: str | None) -> Effect:
    details = None if state is State.VOIDED else json.dumps(request.details, sort_keys=True)
    values = (request.service, request.key, state, request.reference, details, refusal, _now())
    (row,) = connection.execute(_INSERT, values).fetchall()  # read to its end: the statement must be finished
    return _effect(row)


def _find_undo(connection: sqlite3.Connection, request: UndoRequest) -> tuple[Verdict, Undo] | None:
    row = connection.execute(_FIND_UNDO, (request.service, request.key)).fetchone()
    if row is None:
        return None
    same = (row["target_key"], row["reference"]) == (request.target_key, request.reference)
    verdict = Verdict.REPLAYED if same else Verdict.MISMATCH
    return verdict, Undo(_id(request.service, request.key), row["target_key"], bool(row["undone"]))


def _insert_undo(connection: sqlite3.Connection, request: UndoRequest, undone: bool) -> Undo:
    recorded = Undo(_id(request.service, request.key), request.target_key, undone)
    values = (
        request.service,
        request.key,
        request.target_key,
        request.reference,
        undone,
        _now(),
    )
    connection.execute(_INSERT_UNDO, values)
    return recorded


def _effect(row: sqlite3.Row) -> Effect:
    return Effect(
        seq=row["seq"],
        key=row["key"],
        id=_id(row["service"], row["key"]),
        state=State(row["state"]),
        reference=row["reference"],
        details=json.loads(row["details"]) if row["details"] else {},
        refusal=row["refusal"],
        created_at=row["created_at"],
        undone_at=row["undone_at"],
    )


def _id(service: str, key: str) -> str:
    # Unique because (service, key) is; a random id would need an index of its own, and slow every write.
    return hashlib.sha256(f"{service}/{key}".encode()).hexdigest()[:24]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

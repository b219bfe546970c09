"""PostgreSQL: each write is one statement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from django.db import IntegrityError

from outbox.database import connection, execute, fetch
from outbox.rows import NewMessage
from outbox.store.base import Store
from outbox.store.postgresql.claiming import (
    CLAIM,
    DEFER,
    HOLD,
    RELEASE,
    RENEW,
    SETTLE_FAILED,
    SETTLE_SENT,
    UNSETTLED,
)
from outbox.store.postgresql.consuming import (
    CALL_OFF,
    CONSUME,
    FAIL,
    FINISH_LEASE,
    NOTE_ATTEMPT,
    REARM,
    RESCHEDULE,
    TAKE_LEASE,
)
from outbox.store.postgresql.rescuing import FREE, HEAL, RESCUE
from outbox.store.records import (
    FROM_THE_START,
    LOST,
    UNCONSUMED,
    Claim,
    Claimed,
    Failure,
    Floors,
    Rescued,
    Run,
    Unsettled,
    is_refunded,
)

TRIES = 3
FEW = 100
"""Rows up to which planning a statement is a good part of its cost."""
HEADER = 3
"""Columns of a claim's first row, which tells of the claim itself."""


class PostgreSQL(Store):
    """The statements are in the modules beside this one."""

    def __init__(self) -> None:
        self._claimed = (
            0  # by the last claim; whose it was does not matter: it only tells whether much is to be done
        )

    def claim(self, limit: int, by: str, lease: float, floors: Floors) -> Claim:
        lock_id = uuid4()
        places = [floors.get(str(priority), FROM_THE_START) for priority in range(10)]
        times, ids = (f"{{{','.join(column)}}}" for column in zip(*places, strict=True))  # arrays, as text
        params = [times, ids, limit, limit, lock_id, by, lease, _is_alone()]
        for _ in range(TRIES):
            try:
                (found, parked, last, *_), *rows = fetch(CLAIM, params, prepared=self._claimed <= FEW)
            except (
                IntegrityError
            ):  # two relays saw two heads of one key: whoever looks again sees which was taken
                continue
            break
        else:
            return Claim(lock_id, [], more=True)
        self._claimed = len(rows)
        messages = [Claimed(*row[HEADER:]) for row in rows]
        more = found >= limit and bool(messages or parked)
        return Claim(lock_id, messages, more, json.loads(last) if last else {})

    def renew(self, ids: Sequence[UUID], lock_id: UUID, lease: float) -> int:
        return execute(RENEW, [lease, list(ids), lock_id])

    def settle_sent(self, ids: Sequence[UUID], lock_id: UUID, resend_after: float, cap: float) -> int:
        params = [resend_after, cap, list(ids), lock_id, _is_alone()]
        return execute(SETTLE_SENT, params, prepared=len(ids) <= FEW)

    def settle_failed(self, failures: Sequence[Failure], lock_id: UUID, worker: str) -> int:
        ids, errors, delays, stages = (list(column) for column in zip(*failures, strict=True))
        refunds = [failure.is_refunded for failure in failures]
        return execute(SETTLE_FAILED, [ids, errors, delays, stages, refunds, ids, lock_id, worker])

    def unsettled(self, attempts: Mapping[UUID, int], lock_id: UUID) -> Unsettled:
        rows = fetch(UNSETTLED, [lock_id, list(attempts), list(attempts.values())])
        ours = {id_ for id_, is_ours in rows if is_ours}
        return Unsettled(ours, len(rows) - len(ours))

    def release(self, ids: Sequence[UUID], lock_id: UUID) -> int:
        return execute(RELEASE, [list(ids), lock_id])

    def defer(self, delays: Sequence[tuple[UUID, float]], lock_id: UUID) -> int:
        ids, seconds = (list(column) for column in zip(*delays, strict=True))
        return execute(DEFER, [ids, seconds, ids, lock_id])

    def hold(self, pairs: Sequence[tuple[UUID, UUID]], lock_id: UUID) -> int:
        ids, pauses = (list(column) for column in zip(*pairs, strict=True))
        return execute(HOLD, [ids, pauses, ids, lock_id])

    def free(self, ids: Sequence[UUID]) -> int:
        return execute(FREE, [list(ids)])

    def heal(self, limit: int) -> int:
        return execute(HEAL, [limit])

    def rescue(self, limit: int, max_lost: int, max_resends: int) -> Rescued:
        return Rescued(*fetch(RESCUE, [max_lost, max_resends, limit, LOST, UNCONSUMED])[0])

    def consume(self, message_id: UUID, attempt: int, consumer: str) -> bool | None:
        return _only(fetch(CONSUME, [message_id, attempt, consumer, consumer, consumer], prepared=True))

    def take_lease(
        self, message_id: UUID, attempt: int, seconds: float, lock_id: UUID, worker: str, consumer: str
    ) -> bool:
        params = [lock_id, worker, seconds, message_id, attempt, consumer, consumer, consumer, _is_alone()]
        return execute(TAKE_LEASE, params, prepared=True) == 1

    def finish_lease(self, message_id: UUID, lock_id: UUID) -> bool | None:
        return _only(fetch(FINISH_LEASE, [message_id, lock_id], prepared=True))

    def fail(self, run: Run, error: str, delay: float | None, stage: str) -> bool:
        refund = is_refunded(stage, delay)
        params = [delay, refund, delay, error, run.message_id, run.attempt, run.lock_id]
        return execute(FAIL, [*params, run.attempt, stage, run.worker]) == 1

    def reschedule(self, run: Run, error: str, row: NewMessage) -> bool:
        becomes = [row.type, row.consumer, row.payload, row.headers, row.queue, row.priority]
        params = [*becomes, row.next_attempt_at, row.delay, error]
        params += [run.message_id, run.attempt, run.lock_id, run.worker]
        return execute(RESCHEDULE, params) == 1

    def rearm(self, message_id: UUID, delay: float, error: str, worker: str) -> bool:
        rows = fetch(REARM, [delay, error, message_id])
        if rows and error:
            execute(NOTE_ATTEMPT, [message_id, rows[0][0], error, worker])
        return bool(rows)

    def call_off(self, message_id: UUID, reason: str) -> bool | None:
        return _only(fetch(CALL_OFF, [reason, message_id]))


def _is_alone() -> bool:
    """Whether a statement is a transaction of its own."""
    return not connection().in_atomic_block


def _only(rows: list[tuple[bool]]) -> bool | None:
    return rows[0][0] if rows else None

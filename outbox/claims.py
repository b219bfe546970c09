"""The relay's half of the SQL: claim → settle, and back to Pending when that fails.

Each function is one statement, and each write carries the fence ``lock_id``: whoever lost its claim changes
nothing. All times are the database's. No row stays locked after a function returns (call them in
autocommit), so nothing is ever sent under a row lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID, uuid4

from django.db import IntegrityError

from outbox.conf import conf
from outbox.database import execute, fetch
from outbox.sql.claiming import (
    CLAIM,
    COUNT_REFUSED,
    DEFER,
    HOLD,
    RELEASE,
    RENEW,
    SETTLE_FAILED,
    SETTLE_SENT,
)
from outbox.sql.rescuing import FREE, HEAL, RESCUE

LOST = "The lease ran out: the worker died, or was slower than its lease."


Floors = Mapping[str, tuple[str, str]]
"""By priority: due time and id of a row in the index of due rows."""
FROM_THE_START = ("-infinity", "00000000-0000-0000-0000-000000000000")


class Claimed(NamedTuple):
    """A message in a relay's hands. ``payload`` and ``headers`` are JSON texts, as the database keeps them."""

    id: UUID
    type: str
    consumer: str
    payload: str
    headers: str
    queue: str
    priority: int
    attempts: int
    correlation_id: str
    tries: int
    """Attempts since it was published or redriven: what retry policies count."""
    key: str = ""
    waited: bool = False
    """Whether it became due after it was published: scheduled, tried before, or put off."""


@dataclass(frozen=True)
class Claim:
    """A batch of messages held under one fencing value until the lease ends."""

    lock_id: UUID
    messages: list[Claimed]
    more: bool = False
    """Whether others may be due: it took (or put behind others of their keys) as many as it was allowed to."""
    last: Floors = field(default_factory=dict)
    """The last row that it looked at, by priority."""

    @property
    def ids(self) -> list[UUID]:
        """Of all its messages."""
        return [message.id for message in self.messages]


class Failure(NamedTuple):
    """A message that was not sent, why, and the seconds until its next attempt (``None``: Failed)."""

    id: UUID
    error: str
    delay: float | None


class Rescued(NamedTuple):
    """Messages that came back: from holders that died, and from brokers that lost them."""

    expired: int
    resent: int


def claim(limit: int, by: str = "", floors: Floors | None = None) -> Claim:
    """Take up to ``limit`` due messages: Pending → Processing, one attempt counted, leased to us.

    Urgent ones first, and of equals the one that has been due longest. Of a key only its first one, and only when none
    of it is on its way.

    Args:
        limit: how many at most.
        by: who takes them, for people to read.
        floors: by priority, the last row of an earlier claim: look only at rows behind it.
    """
    lock_id = uuid4()
    places = [(floors or {}).get(str(priority), FROM_THE_START) for priority in range(10)]
    params = [[at for at, _ in places], [id_ for _, id_ in places], limit, limit, lock_id, by, conf().LEASE]
    try:
        (found, parked, last, *_), *rows = fetch(CLAIM, params)
    except (
        IntegrityError
    ):  # two relays saw two heads of one key: whoever looks again sees which one was taken
        (found, parked, last, *_), *rows = fetch(CLAIM, params)
    messages = [Claimed(*row[3:]) for row in rows]
    messages.sort(key=attrgetter("priority"))
    more = found >= limit and bool(messages or parked)
    return Claim(lock_id, messages, more, json.loads(last) if last else {})


def renew(claim: Claim, ids: Sequence[UUID]) -> int:
    """Begin the lease of those still ours anew. Returns how many are."""
    return execute(RENEW, [conf().LEASE, list(ids), claim.lock_id])


def settle_sent(claim: Claim, ids: Sequence[UUID]) -> int:
    """Processing → Sent for those still ours. From now on they wait for a consumer, or for a resend."""
    if not ids:
        return 0
    options = conf()
    return execute(SETTLE_SENT, [options.RESEND_AFTER, options.RESEND_CAP, list(ids), claim.lock_id])


def settle_failed(claim: Claim, failures: Iterable[Failure], worker: str) -> int:
    """Processing → Pending (later) or Failed for those still ours, each error kept as an attempt."""
    failures = list(failures)
    if not failures:
        return 0
    ids, errors, delays = (list(column) for column in zip(*failures, strict=True))
    settled = execute(SETTLE_FAILED, [ids, errors, delays, ids, claim.lock_id, worker])
    given_up = [failure.id for failure in failures if failure.delay is None]
    if given_up:
        free(given_up)
    return settled


def refused(claim: Claim, ids: Sequence[UUID]) -> int:
    """How many of these are in other hands: our lease ran out, and writes of ours to them changed nothing."""
    return int(fetch(COUNT_REFUSED, [list(ids), claim.lock_id])[0][0])


def release(claim: Claim, ids: Sequence[UUID]) -> int:
    """Processing → Pending for those still ours, the attempt refunded: it was not the message's fault."""
    if not ids:
        return 0
    return execute(RELEASE, [list(ids), claim.lock_id])


def defer(claim: Claim, delays: Sequence[tuple[UUID, float]]) -> int:
    """Processing → Pending, due in so many seconds, for those still ours, the attempt refunded."""
    if not delays:
        return 0
    ids, seconds = (list(column) for column in zip(*delays, strict=True))
    return execute(DEFER, [ids, seconds, claim.lock_id])


def hold(claim: Claim, paused: Mapping[UUID, Sequence[UUID]]) -> int:
    """Processing → Pending, waiting for the end of a pause, the attempt refunded.

    Args:
        claim: which holds them.
        paused: message ids by the id of the pause. Those of a pause that was lifted meanwhile are released.
    """
    pairs = [(id_, pause) for pause, ids in paused.items() for id_ in ids]
    if not pairs:
        return 0
    ids, pauses = (list(column) for column in zip(*pairs, strict=True))
    held = execute(HOLD, [ids, pauses, claim.lock_id])
    return held + (release(claim, ids) if held < len(ids) else 0)


def free(ids: Sequence[UUID]) -> int:
    """Let go what waits for these messages, where they are over. Returns how many became due."""
    return execute(FREE, [list(ids)])


def heal(limit: int) -> int:
    """Let go up to ``limit`` messages that wait for something that is over or gone."""
    return execute(HEAL, [limit])


def rescue(limit: int) -> Rescued:
    """Give back messages whose lease ran out, and resend those that nobody consumed in time.

    A message whose consumers died ``MAX_LOST_LEASES`` times in the middle of it ends as Failed.
    """
    return Rescued(*fetch(RESCUE, [conf().MAX_LOST_LEASES, limit, LOST])[0])

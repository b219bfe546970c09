"""The relay's half: claim → settle, and back to Pending when that fails.

Each function is one atomic write, and each carries the fence ``lock_id``: whoever lost its claim changes nothing. All
times are the database's. No row stays locked after a function returns (call them in autocommit), so nothing is ever
sent under a row lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from uuid import UUID

from outbox.conf import conf
from outbox.store import store
from outbox.store.records import Claim, Claimed, Failure, Floors, Rescued, Unsettled

__all__ = [
    "Claim",
    "Claimed",
    "Failure",
    "Floors",
    "Rescued",
    "Unsettled",
    "claim",
    "defer",
    "free",
    "heal",
    "hold",
    "release",
    "renew",
    "rescue",
    "settle_failed",
    "settle_sent",
    "unsettled",
]

PAUSES = (0.02, 0.05, 0.1)
"""Seconds between two tries to give back what another transaction holds. A claim takes less."""


def claim(limit: int, by: str = "", floors: Floors | None = None) -> Claim:
    """Take up to ``limit`` due messages: Pending → Processing, one attempt counted, leased to us.

    Urgent ones first, and of equals the one that has been due longest. Of a key only its first one, and only when none
    of it is on its way.

    Args:
        limit: how many at most.
        by: who takes them, for people to read.
        floors: by priority, the last row of an earlier claim: look only at rows behind it.
    """
    claim = store().claim(limit, by, conf().LEASE, floors or {})
    claim.messages.sort(key=attrgetter("priority"))
    return claim


def renew(claim: Claim, ids: Sequence[UUID]) -> int:
    """Begin the lease of those still ours anew. Returns how many are."""
    return store().renew(ids, claim.lock_id, conf().LEASE)


def settle_sent(claim: Claim, ids: Sequence[UUID]) -> int:
    """Processing → Sent for those still ours. From now on they wait for a consumer, or for a resend."""
    if not ids:
        return 0
    options = conf()
    return store().settle_sent(ids, claim.lock_id, options.RESEND_AFTER, options.RESEND_CAP)


def settle_failed(claim: Claim, failures: Iterable[Failure], worker: str) -> int:
    """Processing → Pending (later) or Failed for those still ours, each error kept as an attempt."""
    failures = list(failures)
    if not failures:
        return 0
    settled = store().settle_failed(failures, claim.lock_id, worker)
    given_up = [failure.id for failure in failures if failure.delay is None]
    if given_up:
        free(given_up)
    return settled


def unsettled(claim: Claim, ids: Sequence[UUID]) -> Unsettled:
    """Of messages that a settle did not change: those that are still ours, because another transaction held their rows;
    and how many our lease ran out for: others have them, or they came back.

    A claim of another relay that began before ours looks at our rows, too, and holds them until it ends.

    Not guaranteed: that all refusals are counted. What others have sent by now looks as if it were ours.
    """
    wanted = set(ids)
    attempts = {message.id: message.attempts for message in claim.messages if message.id in wanted}
    return store().unsettled(attempts, claim.lock_id)


def release(claim: Claim, ids: Sequence[UUID]) -> int:
    """Processing → Pending for those still ours, the attempt refunded: it was not the message's fault."""
    return _insist(lambda: store().release(ids, claim.lock_id), claim, ids)


def defer(claim: Claim, delays: Sequence[tuple[UUID, float]]) -> int:
    """Processing → Pending, due in so many seconds, for those still ours, the attempt refunded."""
    return _insist(lambda: store().defer(delays, claim.lock_id), claim, [id_ for id_, _ in delays])


def hold(claim: Claim, paused: Mapping[UUID, Sequence[UUID]]) -> int:
    """Processing → Pending, waiting for the end of a pause, the attempt refunded.

    Args:
        claim: which holds them.
        paused: message ids by the id of the pause. Those of a pause that was lifted meanwhile are released.

    Returns:
        How many wait now.
    """
    pairs = [(id_, pause) for pause, ids in paused.items() for id_ in ids]
    if not pairs:
        return 0
    held = store().hold(pairs, claim.lock_id)
    if held < len(pairs):
        release(claim, [id_ for id_, _ in pairs])
    return held


def free(ids: Sequence[UUID]) -> int:
    """Let go what waits for these messages, where they are over. Returns how many became due."""
    return store().free(ids)


def heal(limit: int) -> int:
    """Let go up to ``limit`` messages that wait for something that is over or gone."""
    return store().heal(limit)


def rescue(limit: int) -> Rescued:
    """Give back messages whose lease ran out, and resend those that nobody consumed in time.

    A message whose consumers died ``MAX_LOST_LEASES`` times in the middle of it ends as Failed; so does one that was
    sent again ``MAX_RESENDS`` times.
    """
    return store().rescue(limit, conf().MAX_LOST_LEASES, conf().MAX_RESENDS)


def _insist(write: Callable[[], int], claim: Claim, ids: Sequence[UUID]) -> int:
    """Give back these messages, all that are ours. Another relay's claim may hold some for a moment (see
    :func:`unsettled`), and who waits for the end of the lease instead waits long. Returns how many were given back."""
    done = write() if ids else 0
    for pause in PAUSES:
        if done >= len(ids) or not unsettled(claim, ids).ours:
            break
        time.sleep(pause)
        done += write()
    return done

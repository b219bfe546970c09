"""A rate limit's arithmetic: a token bucket that decides who passes, and a line that says when to come again.

The bucket keeps the promise: in any time ``t``, all relays together send at most ``per_second * t + burst`` messages of
the type. The line only spares work: whoever finds no token gets a slot at its end, one ``1 / per_second`` after the
other, and is not looked at before. When its slot has come, it passes if there is a token. There is one, unless no
relay looked for a while: then all who missed their slots get new ones at the front, from now on and in their order. Who
had those slots meets them there, the older one passes, and the other gets the next new one: the line moves on as a
whole, and each in it is put off once more.

Token bucket: as in RFC 2697, refilled continuously.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

ENOUGH = 0.99
"""A token, nearly: times have microseconds, and a rounding error must not cost a slot. What is missing is owed."""
TICK = timedelta(microseconds=1)
CLOCK_STEP = timedelta(seconds=1)
"""A refill so far in the future is that of a clock that has been set back."""


class Bucket(NamedTuple):
    """A limit as its row has it; times are the database's."""

    per_second: float
    burst: int
    tokens: float
    refilled_at: datetime
    last_slot_at: datetime
    """The end of the line."""
    last_return_at: datetime
    """The end of what those have who missed their slots."""


def take(bucket: Bucket, now: datetime, waited: Sequence[bool]) -> tuple[Bucket, list[float | None]]:
    """Let messages pass, as many as there are tokens; the others get slots in the line.

    Args:
        bucket: as it was read.
        now: the database's time.
        waited: of each message, in order, whether it has stood in line. One that has not does not overtake a line.

    Returns:
        The bucket afterwards, and of each message the seconds to its slot, or ``None`` when it passes now.
    """
    tokens = min(float(bucket.burst), bucket.tokens + bucket.per_second * _seconds(now - bucket.refilled_at))
    # Without a line its end stays in the past: another relay's ``now`` may be a moment older than ours.
    line, front = _seconds(bucket.last_slot_at - now), _seconds(bucket.last_return_at - now)
    delays: list[float | None] = []
    for has_waited in waited:
        if tokens >= ENOUGH and (has_waited or line == 0):
            tokens -= 1
            delays.append(None)
        elif has_waited:
            front += 1 / bucket.per_second
            line = max(line, front)
            delays.append(front)
        else:
            line += 1 / bucket.per_second
            delays.append(line)
    return bucket._replace(
        tokens=tokens,
        refilled_at=_stamp(bucket, now),
        last_slot_at=now + timedelta(seconds=line) if line else bucket.last_slot_at,
        last_return_at=now + timedelta(seconds=front) if front else bucket.last_return_at,
    ), delays


def _seconds(span: timedelta) -> float:
    return max(0.0, span.total_seconds())


def _stamp(bucket: Bucket, now: datetime) -> datetime:
    """The time of this refill: never one that was there before, because relays compare it."""
    if now < bucket.refilled_at - CLOCK_STEP:
        return now
    return max(now, bucket.refilled_at + TICK)
